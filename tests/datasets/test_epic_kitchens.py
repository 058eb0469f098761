"""EPIC-KITCHENS-100 as a dataset: records, questions, media of every kind."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmfusion.datasets import EpicKitchensDataset
from mmfusion.datasets.transforms import DecodeVideo, PackInputs, SampleTimes
from mmfusion.questions.generic import generic_record
from mmfusion.questions.records import QuestionFileError, write_questions
from mmfusion.utils.errors import AnnotationError, MediaError
from tests.ek100_files import edit, make_ek100, write_csv
from tests.video_files import number_of, write_video

PIPELINE: list[dict] = [
    dict(type=SampleTimes, num_frames=dict(video=4), mode="uniform"),
    dict(type=DecodeVideo),
    dict(type=PackInputs, streams=("video",)),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_ek100(tmp_path)


def _dataset(root: Path, split: str = "val", **options: Any) -> EpicKitchensDataset:
    return EpicKitchensDataset([], data_root=str(root), split=split, **options)


def test_a_record_has_seconds_labels_and_names(root: Path) -> None:
    dataset = _dataset(root)
    record = dataset.get_record(1)
    assert (record["id"], record["group"]) == ("P03_02_1", "P03_02")
    assert record["video"] == "videos/P03/videos/P03_02.MP4"
    assert (record["start_sec"], record["end_sec"]) == (1.56, 2.45)
    # pairs in the order of their text: 0:0, 0:1, 1:0, 1:10
    assert record["label"] == {"verb": 0, "noun": 0, "action": 0}
    meta = dataset.metainfo
    assert meta["classes"]["action"][1] == "take chopping board"
    assert meta["action_pairs"] == [[0, 0], [0, 1], [1, 0], [1, 10]]
    assert (meta["tail_verbs"], meta["tail_nouns"]) == ([1], [0, 10])
    assert meta["unseen_participants"] == ["P03"]


def test_an_unknown_pair_has_no_action(root: Path) -> None:
    write_csv(root / "few.csv", [["id", "verb", "noun", "action"], [0, 0, 1, "a"]])
    dataset = _dataset(root, actions="few.csv")
    assert [set(dataset.get_record(i)["label"]) for i in (0, 1)] == [
        {"verb", "noun", "action"},
        {"verb", "noun"},
    ]
    assert "action" not in _dataset(root, actions=None).metainfo["classes"]


def test_test_labels_are_hidden(root: Path) -> None:
    dataset = _dataset(root, "test", test_mode=True)
    assert dataset.get_record(0)["label"] == {}
    with pytest.raises(ValueError, match="no label for 'verb'"):
        _dataset(root, "test", num_classes=dict(verb=2))


def test_the_first_part_counts_60_frames_and_the_extension_50(root: Path) -> None:
    dataset = _dataset(root, "train")
    rates = {r["group"]: r["index_fps"] for r in map(dataset.get_record, range(3))}
    assert rates == {"P01_01": 60.0, "P02_101": 50.0}
    assert _dataset(root, index_fps=30.0).get_record(1)["start_frame"] == 46


def test_a_list_of_rulstm_serves_for_train(root: Path) -> None:
    write_csv(root / "list.csv", [["P01_01_0", "P01_01", 4, 101, 0, 1, 1]])
    dataset = _dataset(root, "train", segments="list.csv")
    assert dataset.get_record(0)["label"] == {"verb": 0, "noun": 1, "action": 1}
    edit(root / "list.csv", "0,1,1", "0,1,0")
    with pytest.raises(AnnotationError, match=r"list.csv:1: action 0 is verb 0 with"):
        _dataset(root, "train", segments="list.csv")


def _write_generic(path: Path, *names: str) -> None:
    write_questions(path, [generic_record(name) for name in names])


def test_questions_are_joined_by_id_with_their_source(root: Path) -> None:
    _write_generic(root / "q.jsonl", "P03_02_1", "P03_02_0")
    dataset = _dataset(root, questions="q.jsonl")
    assert dataset.metainfo["question_source"] == "generic"
    record = dataset.get_record(1)
    assert record["text"]["verb_question"] == generic_record("x").verb_question
    assert record["extra"]["question_source"] == "generic"
    assert _dataset(root, questions="generic").get_record(1) == record
    assert _dataset(root).metainfo["question_source"] is None


def test_faulty_questions_are_named(root: Path) -> None:
    _write_generic(root / "q.jsonl", "P03_02_0")
    with pytest.raises(AnnotationError, match=r"validation.csv:3: 'P03_02_1' has no q"):
        _dataset(root, questions="q.jsonl")
    _write_generic(root / "q.jsonl", "P03_02_0", "P03_02_1", "P03_02_7")
    with pytest.raises(QuestionFileError, match="not have: 'P03_02_7'"):
        _dataset(root, questions="q.jsonl")
    line = (root / "q.jsonl").read_text().splitlines()[0]
    (root / "q.jsonl").write_text(f"{line}\n{line}\n")
    with pytest.raises(QuestionFileError, match="q.jsonl:2: two questions for the id"):
        _dataset(root, questions="q.jsonl")
    nameless = {**json.loads(line), "narration_id": ""}
    (root / "q.jsonl").write_text(json.dumps(nameless))
    with pytest.raises(QuestionFileError, match="q.jsonl:1: a question without an id"):
        _dataset(root, questions="q.jsonl")


def test_several_files_of_questions_are_joined_only_when_asked(root: Path) -> None:
    _write_generic(root / "a.jsonl", "P03_02_0")
    _write_generic(root / "b.jsonl", "P03_02_1")
    with pytest.raises(ValueError, match="questions names 2 files"):
        _dataset(root, questions=["a.jsonl", "b.jsonl"])
    joined = _dataset(root, questions=["a.jsonl", "b.jsonl"], join_questions=True)
    assert joined.metainfo["question_source"] == "generic"
    with pytest.raises(AnnotationError, match="two questions for the id 'P03_02_0'"):
        _dataset(root, questions=["a.jsonl", "generic"], join_questions=True)


def test_short_videos_stop_before_training(root: Path) -> None:
    edit(root / "EPIC_100_video_info.csv", "P03_02,10.0", "P03_02,1.9")
    with pytest.raises(AnnotationError, match="'P03_02' is shorter than its csv says"):
        _dataset(root)


def test_lacking_boxes_and_hands_are_named(root: Path) -> None:
    for option in ("boxes_dir", "skeleton_dir"):
        with pytest.raises(AnnotationError, match=r"csv:2: .*/none has no P03_02.npz"):
            _dataset(root, **{option: "none"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(split="dev"), "split is 'dev'"),
        (dict(media="flow"), "media is 'flow'"),
        (dict(chunk_seconds=0), "chunk_seconds is 0"),
    ],
)
def test_bad_arguments_are_named(options: dict, message: str, root: Path) -> None:
    with pytest.raises(ValueError, match=message):
        _dataset(root, **options)


def _clip(root: Path, **options: Any) -> dict:
    return EpicKitchensDataset(PIPELINE, data_root=str(root), split="val", **options)[0]


def test_a_video_is_cut_by_seconds(root: Path) -> None:
    path = root / "videos/P03/videos/P03_02.MP4"
    path.parent.mkdir(parents=True)
    write_video(path, num_frames=40)
    sample = _clip(root, questions="generic")
    assert sample["inputs"]["video"].shape[:3] == (1, 3, 4)
    meta = sample["data_samples"].metainfo
    assert meta["sample_id"] == "P03_02_0" and meta["question_source"] == "generic"
    assert (meta["video_id"], meta["participant_id"]) == ("P03_02", "P03")


def test_a_cut_video_names_file_and_seconds(root: Path) -> None:
    path = root / "videos/P03/videos/P03_02.MP4"
    path.parent.mkdir(parents=True)
    write_video(path, num_frames=5)
    with pytest.raises(MediaError, match=r"P03_02.MP4.*asks for .* expected 0 to 0.50"):
        _clip(root)


def test_extracted_frames_count_from_one(root: Path) -> None:
    folder = root / "videos/P03/rgb_frames/P03_02"
    folder.mkdir(parents=True)
    for number in range(1, 121):  # two seconds at 60
        image = np.full((8, 8, 3), number * 2, np.uint8)
        cv2.imwrite(str(folder / f"frame_{number:010d}.jpg"), image)
    video = _clip(root, media="frames")["inputs"]["video"].numpy()
    # the centres of four quarters of 0..1.89 s are frames 1 + floor(t * 60)
    wanted = [1 + int((place + 0.5) / 4 * 1.89 * 60) for place in range(4)]
    found = video[0].mean(axis=(0, 2, 3)) / 2
    np.testing.assert_allclose(found, wanted, atol=1)


def test_chunks_are_read_across_their_border(root: Path) -> None:
    folder = root / "videos/P03/P03_02.MP4"
    folder.mkdir(parents=True)
    for start in (0, 1):
        write_video(folder / f"{start}.MP4", num_frames=10)
    options = dict(media="chunks", chunk_seconds=1.0)
    video = _clip(root, **options)["inputs"]["video"][0].permute(1, 2, 3, 0)
    # the centres of four quarters of 0..1.89 s at 10 frames a second
    assert [number_of(frame) for frame in video.numpy()] == [2, 7, 1, 6]
    (folder / "1.MP4").unlink()
    with pytest.raises(MediaError, match=r"the chunk 1.MP4 is missing, with chunks of"):
        _clip(root, **options)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (dict(split="val", questions="generic"), 9668),
        (dict(split="test", test_mode=True), 13092),
    ],
    ids=["val", "test"],
)
def test_the_real_splits_are_whole(
    options: dict, count: int, shared_data: Path
) -> None:
    root = str(shared_data / "ek100")
    dataset = EpicKitchensDataset(
        [], data_root=root, actions="rulstm/actions.csv", **options
    )
    assert len(dataset) == count
    assert len(dataset.metainfo["action_pairs"]) == 3806


def test_the_accuracy_of_who_chose_the_questions_is_known(root: Path) -> None:
    file = root / "predicted.jsonl"
    write_questions(file, [generic_record(name) for name in ("P03_02_0", "P03_02_1")])
    assert _dataset(root, questions="predicted.jsonl").metainfo["recognisers"] == []
    accuracy = dict(num_labelled=2, verb=50.0, noun=0.0, action=0.0)
    content = dict(recogniser="nano", accuracy=accuracy, bank={})
    beside = root / "predicted.jsonl.meta.json"
    beside.write_text(json.dumps(content))
    found = _dataset(root, questions="predicted.jsonl").metainfo["recognisers"]
    assert found == [dict(recogniser="nano", accuracy=accuracy)]
    beside.write_text("{}")
    with pytest.raises(AnnotationError, match="meta.json: not what"):
        _dataset(root, questions="predicted.jsonl")
