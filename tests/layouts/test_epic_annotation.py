"""EPIC-KITCHENS-100 from its csv files to samples: records, media of every kind."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.transforms import DecodeVideo, PackInputs, SampleTimes
from mmfusion.layouts.epic_annotation import EpicMedia, make_record
from mmfusion.layouts.epic_kitchens import read_classes, read_segments
from mmfusion.utils.errors import AnnotationError, MediaError
from tests.ek100_files import edit, make_ek100, prepare_ek100, write_csv
from tests.video_files import number_of, write_video

PIPELINE: list[dict] = [
    dict(type=SampleTimes, num_frames=dict(video=4), mode="uniform"),
    dict(type=DecodeVideo),
    dict(type=PackInputs, streams=("video",)),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_ek100(tmp_path)


def _dataset(
    root: Path, split: str = "val", *flags: str, pipeline: Sequence = (), **options: Any
) -> MultiModalDataset:
    """The annotation that prepare.py writes with these flags, as a dataset."""
    prepare_ek100(root, *flags)
    ann_file = "mmfusion/annotation.json"
    return MultiModalDataset(
        ann_file, pipeline, data_root=str(root), split=split, **options
    )


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
    assert meta["unseen_participants"] == ["P03", "P04"]  # of val and of test


def test_an_unknown_pair_has_no_action(root: Path) -> None:
    write_csv(root / "few.csv", [["id", "verb", "noun", "action"], [0, 0, 1, "a"]])
    dataset = _dataset(root, "val", "--actions", "few.csv")
    assert [set(dataset.get_record(i)["label"]) for i in (0, 1)] == [
        {"verb", "noun", "action"},
        {"verb", "noun"},
    ]
    plain = _dataset(root, "val", "--actions", "none")
    assert "action" not in plain.metainfo["classes"]


def test_test_labels_are_hidden(root: Path) -> None:
    dataset = _dataset(root, "test", test_mode=True)
    assert dataset.get_record(0)["label"] == {}
    assert "text" in dataset.get_record(0) and not dataset.get_record(0)["text"]
    with pytest.raises(ValueError, match="no label for 'verb'"):
        _dataset(root, "test", num_classes=dict(verb=2))


def test_the_first_part_counts_60_frames_and_the_extension_50(root: Path) -> None:
    dataset = _dataset(root, "train")
    rates = {r["group"]: r["index_fps"] for r in map(dataset.get_record, range(3))}
    assert rates == {"P01_01": 60.0, "P02_101": 50.0}
    assert _dataset(root, "val", "--index-fps", "30").get_record(1)["start_frame"] == 46


@pytest.mark.parametrize(
    ("start", "stop", "frames"),
    [
        (0.0, 1.0, (1, 60)),  # no number lies below 1
        (2.05, 4.1, (123, 246)),  # 2.05 * 60 is 122.99999999999999
        (0.149, 0.299, (8, 17)),  # whole frames only: 8.94 and 17.94
        (0.15, 1.0 + 1 / 60, (9, 61)),
        (0.0, 0.016, (1, 1)),
    ],
)
def test_first_and_last_frame_of_a_segment(
    start: float, stop: float, frames: tuple[int, int], root: Path
) -> None:
    segment = read_segments(root / "EPIC_100_train.csv", read_classes(root))[0]
    segment = replace(segment, start_sec=start, stop_sec=stop)
    record = make_record(segment, "train", EpicMedia(), {})
    assert (record["start_frame"], record["end_frame"]) == frames
    assert (record["start_sec"], record["end_sec"]) == (start, stop)


def test_a_list_of_rulstm_serves_for_train(root: Path) -> None:
    write_csv(root / "list.csv", [["P01_01_0", "P01_01", 4, 101, 0, 1, 1]])
    flags = ["--train-list", "list.csv", "--actions", "actions.csv"]
    pairs = [[0, 0, 0, "a"], [1, 0, 1, "b"]]
    write_csv(root / "actions.csv", [["id", "verb", "noun", "action"], *pairs])
    dataset = _dataset(root, "train", *flags)
    assert dataset.get_record(0)["label"] == {"verb": 0, "noun": 1, "action": 1}
    edit(root / "list.csv", "0,1,1", "0,1,0")
    with pytest.raises(AnnotationError, match=r"list.csv:1: action 0 is verb 0 with"):
        _dataset(root, "train", *flags)


def test_short_videos_stop_before_training(root: Path) -> None:
    edit(root / "EPIC_100_video_info.csv", "P03_02,10.0", "P03_02,1.9")
    with pytest.raises(AnnotationError, match="'P03_02' is shorter than its csv says"):
        _dataset(root)


def test_lacking_boxes_and_hands_are_named(root: Path) -> None:
    for option in ("--boxes-dir", "--skeleton-dir"):
        with pytest.raises(AnnotationError, match=r"csv:2: .*/no has no P01_01.npz"):
            _dataset(root, "val", option, "no")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(kind="flow"), "media is 'flow'"),
        (dict(chunk_seconds=0), "chunk_seconds is 0"),
        (dict(index_fps=-1), "index_fps -1"),
    ],
)
def test_bad_arguments_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EpicMedia(**options)


def test_caches_that_lie_where_they_usually_do_are_used(root: Path) -> None:
    assert _dataset(root).get_record(0)["boxes"] is None
    for folder in ("boxes", "skeleton"):
        (root / folder).mkdir()
        for video in ("P01_01", "P02_101", "P03_02", "P04_103"):
            (root / folder / f"{video}.npz").touch()
    dataset = _dataset(root)
    assert dataset.get_record(0)["boxes"] == {"file": "boxes/P03_02.npz"}
    assert dataset.get_record(0)["skeleton"] == {"file": "skeleton/P03_02.npz"}
    assert dataset.metainfo["skeleton"]["frame"] == "camera"
    without = _dataset(root, "val", "--boxes-dir", "none").get_record(0)
    assert without["boxes"] is None and without["skeleton"] is not None


def _clip(root: Path, *flags: str, **options: Any) -> dict:
    return _dataset(root, "val", *flags, pipeline=PIPELINE, **options)[0]


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
    reason = r"'P03_02_0': it ends at 1.89 s and its video at 0.5 s .*P03_02.MP4"
    with pytest.raises(MediaError, match=reason):
        _clip(root)


def test_extracted_frames_count_from_one(root: Path) -> None:
    folder = root / "videos/P03/rgb_frames/P03_02"
    folder.mkdir(parents=True)
    for number in range(1, 121):  # two seconds at 60
        image = np.full((8, 8, 3), number * 2, np.uint8)
        cv2.imwrite(str(folder / f"frame_{number:010d}.jpg"), image)
    video = _clip(root, "--media", "frames")["inputs"]["video"].numpy()
    # the centres of four quarters of 0..1.89 s are frames 1 + floor(t * 60)
    wanted = [1 + int((place + 0.5) / 4 * 1.89 * 60) for place in range(4)]
    found = video[0].mean(axis=(0, 2, 3)) / 2
    np.testing.assert_allclose(found, wanted, atol=1)


def test_chunks_are_read_across_their_border(root: Path) -> None:
    folder = root / "videos/P03/P03_02.MP4"
    folder.mkdir(parents=True)
    for start in (0, 1):
        write_video(folder / f"{start}.MP4", num_frames=10)
    flags = ["--media", "chunks", "--chunk-seconds", "1"]
    video = _clip(root, *flags)["inputs"]["video"][0].permute(1, 2, 3, 0)
    # the centres of four quarters of 0..1.89 s at 10 frames a second
    assert [number_of(frame) for frame in video.numpy()] == [2, 7, 1, 6]
    (folder / "1.MP4").unlink()
    with pytest.raises(MediaError, match=r"the chunk 1.MP4 is missing, with chunks of"):
        _clip(root, *flags)
