"""Annotations of each data set become clips; what is wrong is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmfusion.datasets.annotation import check_metainfo, check_records, load_annotation
from mmfusion.layouts import h2o, video_lists
from mmfusion.questions.clips import Clip, clips_of, records_of_split, ssv2_verb
from mmfusion.questions.vocabulary import Vocabulary
from tests.questions.ek100_classes import read_ek100, write_ek100

pytest.importorskip("simplemma")


def _annotation(dataset: str, names: list[str], **more: Any) -> tuple[dict, list[dict]]:
    """An annotation of one clip a class."""
    record = {"video": "a.mp4", "start_sec": 0.0, "end_sec": 1.0, **more}
    rows = [
        {"id": f"s#{i}", "label": {"action": i}, **record} for i in range(len(names))
    ]
    head = {"version": 1, "dataset": dataset, "classes": {"action": names}}
    metainfo = check_metainfo(head, "a.json")
    return metainfo, check_records(rows, metainfo, "a.json")


def test_ek100_clips_have_the_narrators_words(tmp_path: Path) -> None:
    clips = read_ek100(write_ek100(tmp_path))
    assert clips[2] == Clip(
        "P01_01_2", "wash chopping board", "wash", "chopping board", 2, 3
    )
    assert (clips[1].verb, clips[6].verb, clips[6].noun) == (
        *("put down", "pick up", "bread knife"),
    )


def test_the_annotation_gives_the_words_of_its_classes(tmp_path: Path) -> None:
    metainfo, _ = load_annotation(str(write_ek100(tmp_path)))
    vocabulary = Vocabulary.of_annotation(metainfo)
    assert vocabulary is not None
    assert vocabulary.find("noun", "flow:tap") == (0,)
    assert vocabulary.classes["verb"][3].category == "access"
    del metainfo["extra"]["words"]["noun"][0]["category"]
    with pytest.raises(ValueError, match="words lacks 'category'"):
        Vocabulary.of_annotation(metainfo)
    assert Vocabulary.of_annotation({"extra": None}) is None


def test_a_file_of_questions_belongs_to_one_split() -> None:
    records = [{"split": "train"}, {"split": "val"}, {"split": "val"}]
    assert len(records_of_split(records, "val", "a.json")) == 2
    for split in (None, "dev"):
        with pytest.raises(ValueError, match=r"a.json: the split is .*'val': 2"):
            records_of_split(records, split, "a.json")
    assert len(records_of_split(records[1:], None, "a.json")) == 2


def test_hidden_labels_and_no_clips_are_named() -> None:
    metainfo, records = _annotation("h2o", ["grab book"])
    records[0]["label"] = {}
    with pytest.raises(ValueError, match=r"a.json: record 's#0' has the labels \[\]"):
        clips_of(metainfo, records, "a.json")
    with pytest.raises(ValueError, match="a.json: there is no clip in it"):
        clips_of(metainfo, [], "a.json")


def test_h2o_labels_are_two_words() -> None:
    metainfo, records = _annotation("h2o", h2o.METAINFO["classes"]["action"])
    found = [(clip.verb, clip.noun) for clip in clips_of(metainfo, records, "a")]
    assert found == [tuple(pair) for pair in h2o.ACTIONS]
    assert {verb for verb, _ in found} > {"take out", "put in", "pour"}


def test_an_annotation_with_actions_only_is_split() -> None:
    names = ["press_button", "place_onto", "pour"]
    metainfo, records = _annotation("oakink2", names)
    found = [(clip.verb, clip.noun) for clip in clips_of(metainfo, records, "a")]
    assert found == [("press", "button"), ("place onto", None), ("pour", None)]


SSV2 = {
    "Putting [something] onto [something]": "put",
    "Pretending to be tearing [something that is not tearable]": "tear",
    "Trying but failing to attach [something] to [something]": "attach",
    "[Something] falling like a feather or paper": "fall",
    "Pretending or trying and failing to twist [something]": "twist",
    "Unfolding [something]": "unfold",
    "[Something] being deflected from [something]": "deflect",
}


@pytest.mark.parametrize(("template", "verb"), SSV2.items(), ids=SSV2.values())
def test_the_verb_of_a_template(template: str, verb: str) -> None:
    assert ssv2_verb(template) == verb


def test_ssv2_clips(tmp_path: Path) -> None:
    path = tmp_path / "validation.json"
    entry = {
        "id": "74225",
        "label": "spinning cube that quickly stops spinning",
        "template": "Spinning [something] that quickly stops spinning",
        "placeholders": ["a red cube"],
    }
    path.write_text(json.dumps([entry]))
    row = video_lists.read_rows(path, "ssv2")[0]
    made = video_lists.make_record(row, "val", 0, prefix="", video_name="{id}.webm")
    metainfo, records = _annotation("ssv2", [str(row.label)], text=made["text"])
    assert clips_of(metainfo, records, "a") == [
        Clip("s#0", str(entry["label"]), "spin", "a red cube")
    ]


def test_names_of_other_data_are_classes_of_their_own() -> None:
    assert Vocabulary.of_names(["take"], ["cup"]).find("noun", "cup") == (0,)
