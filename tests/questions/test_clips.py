"""Annotations of each kind become clips; what is wrong is named."""

import json
from pathlib import Path

import pytest

from mmfusion.questions.clips import (
    Clip,
    read_annotation,
    read_ek100,
    read_h2o,
    read_ids,
    read_ssv2,
    ssv2_verb,
)
from mmfusion.questions.vocabulary import Vocabulary, natural, read_class_file
from tests.questions.ek100_classes import write_ek100

pytest.importorskip("simplemma")
EK100_HEADER = b"narration_id,narration,verb,verb_class,noun,noun_class\n"


@pytest.fixture
def vocabulary(tmp_path: Path) -> Vocabulary:
    write_ek100(tmp_path)
    names = (f"EPIC_100_{task}_classes.csv" for task in ("verb", "noun"))
    return Vocabulary.read(*(tmp_path / name for name in names))


def test_ek100_rows_are_read_in_plain_english(
    tmp_path: Path, vocabulary: Vocabulary
) -> None:
    clips = read_ek100(tmp_path / "EPIC_100_validation.csv", vocabulary)
    third = clips[2]
    assert third == Clip(
        "P01_01_2", "wash chopping board", "wash", "chopping board", 2, 3
    )
    assert list(read_ids(tmp_path / "EPIC_100_validation.csv")) == [
        clip.narration_id for clip in clips
    ]


FAULTS = {
    "column": ("noun_class", "noun_klass", "columns \\['noun_class'\\] are missing"),
    "class": (
        "P01_01_1,put down plate,put-down,1",
        "a,b,c,97",
        ":3: verb_class is '97'",
    ),
    "name": ("P01_01_1,put down plate,put-down", "a,b,--", ":3: verb is '--'"),
    "id": ("P01_01_1,put", ",put", ":3: narration_id is empty"),
    "twice": ("P01_01_1", "P01_01_0", "the id 'P01_01_0' comes twice"),
}


@pytest.mark.parametrize(("old", "new", "message"), FAULTS.values(), ids=FAULTS)
def test_a_wrong_csv_is_named(
    tmp_path: Path, vocabulary: Vocabulary, old: str, new: str, message: str
) -> None:
    path = tmp_path / "EPIC_100_validation.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=f"EPIC_100_validation.csv.*{message}"):
        read_ek100(path, vocabulary)


def test_a_wrong_class_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text("id,name\n0,take\n")
    with pytest.raises(ValueError, match="'key', 'instances'\\] are missing"):
        read_class_file(path)
    path.write_text("id,key,instances\n1,take,['take']\n")
    with pytest.raises(ValueError, match="class 0: the id is '1'; expected 0"):
        read_class_file(path)
    path.write_text("id,key,instances\n0,take,__import__('os')\n")
    with pytest.raises(ValueError, match="class 0: instances is .*; expected a list"):
        read_class_file(path)


@pytest.mark.parametrize("content", [b"\xd0\xff\x00", b"id\n" + b"x" * 200_000])
def test_what_is_no_text_is_named(
    tmp_path: Path, vocabulary: Vocabulary, content: bytes
) -> None:
    path = tmp_path / "strange.csv"
    path.write_bytes(EK100_HEADER + content)
    for read in (
        lambda: read_ek100(path, vocabulary),
        lambda: read_class_file(path),
        lambda: list(read_ids(path)),
        lambda: read_ssv2(path),
    ):
        with pytest.raises(ValueError, match=r"strange\.csv"):
            read()


def test_swapped_class_files_are_refused(tmp_path: Path) -> None:
    names = (f"EPIC_100_{task}_classes.csv" for task in ("noun", "verb"))
    path = write_ek100(tmp_path)
    path.write_text(path.read_text().replace(",5\n", ",4\n"))  # there are 5 verbs
    swapped = Vocabulary.read(*(tmp_path / name for name in names))
    with pytest.raises(
        ValueError, match=r"8 of 8 verbs.*'take' has verb_class 0.*'tap'"
    ):
        read_ek100(path, swapped)


def test_h2o_labels_are_two_words(shared_data: Path) -> None:
    folder = shared_data / "h2o/action_labels"
    clips = read_h2o(folder / "action_val.txt")
    assert len(clips) == 122
    assert {clip.verb for clip in clips} > {"take out", "put in", "pour"}
    with pytest.raises(ValueError, match="labels are hidden"):
        read_h2o(folder / "action_test.txt")


def test_an_annotation_with_actions_only_is_split(tmp_path: Path) -> None:
    names = ["press_button", "place_onto", "pour"]
    record = {"video": "a.mp4", "start_sec": 0.0, "end_sec": 1.0}
    rows = [
        {"id": f"s#{i}", "label": {"action": i}, **record} for i in range(len(names))
    ]
    content = {"metainfo": {"version": 1, "dataset": "oakink2"}, "data_list": rows}
    content["metainfo"]["classes"] = {"action": names}  # type: ignore[call-overload]
    path = tmp_path / "annotation.json"
    path.write_text(json.dumps(content))
    found = [(clip.verb, clip.noun) for clip in read_annotation(path)]
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
    assert read_ssv2(path) == [Clip("74225", entry["label"], "spin", "a red cube")]
    path.write_text(json.dumps([{"id": "1"}]))
    with pytest.raises(ValueError, match="entry 0 has no id and template"):
        read_ssv2(path)


def test_names_are_written_as_english_does() -> None:
    assert natural("machine:sous:vide") == "sous vide machine"
    assert natural("put-down") == "put down"
    assert Vocabulary.of_names(["take"], ["cup"]).find("noun", "cup") == (0,)
