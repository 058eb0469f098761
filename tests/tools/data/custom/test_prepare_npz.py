"""Sequences in one npz: splits, checks, and the real sets of hands."""

from collections import Counter

from pathlib import Path

import numpy as np
import pytest

from mmfusion.datasets.annotation import load_annotation
from mmfusion.datasets.caches.skeleton_cache import load_skeleton_file
from mmfusion.datasets.splits import SplitItem, assign_splits
from mmfusion.layouts.landmarks import LandmarkOptions, Landmarks
from mmfusion.layouts.sequence_arrays import Sequences, read_sequences, splits_of
from tools.data.custom import prepare


def arrays(**changes) -> dict:
    """Four sequences of 3 frames, two hands of 4 joints, two classes."""
    found = {
        "keypoint": np.arange(12 * 2 * 4 * 3, dtype=np.float32).reshape(12, 2, 4, 3),
        "start": np.arange(0, 12, 3),
        "length": np.full(4, 3),
        "label": np.array([0, 1, 0, 1]),
        "class_names": np.array(["open", "close"]),
        "split": np.array(["train", "train", "test", "test"]),
        "seq_index": np.arange(4),
    }
    return {**found, **changes}


def run(folder, content: dict, *options: str) -> int:
    np.savez(folder / "set.npz", **content)
    basic = ["--out", str(folder / "out"), "--layout", "natops_arm", "--fps", "20"]
    basic += ["--unit", "m", "--val-fraction", "0"]
    rule = [] if "--split-by" in options else ["--split-by", "field:split"]
    return prepare.main([str(folder / "set.npz"), *basic, *rule, *options])


def test_writes_one_record_and_cache_a_sequence(tmp_path, capsys):
    valid = np.ones((12, 2), bool)
    valid[3, 0] = False
    run(tmp_path, arrays(valid=valid))
    assert "hand valid, left: 91.67 % of 12 frames" in capsys.readouterr().out
    metainfo, records = load_annotation(str(tmp_path / "out/annotation.json"))
    assert metainfo["classes"] == {"action": ["open", "close"]}
    assert [record["split"] for record in records] == ["train", "train", "test", "test"]
    assert (records[1]["end_frame"], records[1]["end_sec"]) == (2, 0.15)
    data = load_skeleton_file(str(tmp_path / "out" / records[1]["skeleton"]["file"]))
    assert data.sequence == records[1]["group"] == "set/00001"
    np.testing.assert_array_equal(data.keypoint[1:], arrays()["keypoint"][4:6])
    assert not data.keypoint[0, 0].any() and not data.valid[0, 0]


def test_an_output_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(Path("."), arrays()) == 0
    assert Path("out/annotation.json").is_file()


def test_a_second_run_takes_the_corrected_file(tmp_path):
    run(tmp_path, arrays())
    seen = np.ones((12, 2, 4), bool)
    seen[4, 1, 2] = False
    run(tmp_path, arrays(keypoint=arrays()["keypoint"] / 2, valid=seen))
    data = load_skeleton_file(str(tmp_path / "out/skeleton/00001.npz"))
    assert data.keypoint[0, 0, 0, 1] == arrays()["keypoint"][3, 0, 0, 1] / 2
    assert np.argwhere(~data.valid).tolist() == [[1, 1, 2]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": np.arange(0, 12, 3) * 1.0}, r"start is float64 \(4,\); expected"),
        ({"length": np.array([3, 3, 3, np.nan])}, "length is float64"),
        ({"start": np.array([0, 3, 6, 255], np.uint8)}, "sequence 3 has start 255"),
        ({"label": np.array([[0, 1, 0, 1]])}, r"label is int64 \(1, 4\); expected"),
        ({"label": np.array([0, 1, 0, -1])}, r"label\[3\] is -1; expected 0\.\."),
        ({"class_names": np.array([1, 2])}, r"class_names is int64 \(2,\); expected"),
        ({"split": np.arange(4)}, r"--split-by: split is int64 \(4,\); expected"),
    ],
)
def test_a_column_of_another_kind_is_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, arrays(**changes))


def test_split_by_remainder_and_seeded_validation():
    nothing = np.zeros((1, 1, 1, 3))
    landmarks = Landmarks("", {}, nothing, nothing[..., 0, 0] > 0)
    label, numbers = np.arange(100) % 2, np.arange(100)
    fields = {"seq_index": numbers}
    data = Sequences(landmarks, numbers, numbers, label, ["a", "b"], fields)
    splits = splits_of(data, "mod:seq_index:5:0")
    tested = [i for i, split in enumerate(splits) if split == "test"]
    assert tested == [*range(0, 100, 5)]
    items = [
        SplitItem(str(number), int(label[number]), str(number), split=splits[number])
        for number in range(100)
    ]

    def held(seed: int) -> list[str]:
        return assign_splits(items, val_fraction=0.25, seed=seed).names

    assert Counter(held(1)) == {"train": 60, "val": 20, "test": 20}
    val = [i for i, split in enumerate(held(1)) if split == "val"]
    assert Counter(label[val].tolist()) == {0: 10, 1: 10}
    assert held(1) == held(1) != held(2)


def test_dry_run_writes_nothing(tmp_path):
    run(tmp_path, arrays(), "--dry-run")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": np.array([0, 1, 2, 1])}, r"label 2 of sequence 2, expected 0\.\.1"),
        ({"length": np.array([3, 0, 3, 3])}, "sequence 1 has start 3 and length 0"),
        ({"length": np.array([3, 3, 3, 9])}, "sequence 3 has start 9 and length 9"),
        ({"keypoint": np.zeros((12, 2, 12))}, r"landmarks have the shape \(12, 2, 12\); expected"),
        ({"keypoint": np.zeros((12, 2, 5, 3))}, "5 joints x 3; .* 4 joints .*natops_arm"),
        ({"valid": np.ones(12)}, r"valid has shape \(12,\); expected \(12, 2\)"),
    ],
)
def test_bad_arrays_are_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, arrays(**changes))


@pytest.mark.parametrize("rule", ["field:nothing", "mod:seq_index:5", "mod:a:2:2", "x"])
def test_bad_rule_is_named(tmp_path, rule):
    with pytest.raises(ValueError, match="--split-by"):
        run(tmp_path, arrays(), "--split-by", rule)


def test_missing_arrays_are_named(tmp_path):
    np.savez(tmp_path / "set.npz", keypoint=np.zeros((1, 2, 4, 3)))
    with pytest.raises(ValueError, match="lacks start, length, label, class_names"):
        read_sequences(tmp_path / "set.npz", LandmarkOptions())


@pytest.mark.parametrize(
    ("file", "layout", "rule", "expected"),
    [
        (
            "body_natops/natops.npz",
            "natops_arm",
            "field:split",
            {"train": 180, "test": 180},
        ),
        (
            "hands_mpsign/mpsign.npz",
            "mediapipe",
            "mod:seq_index:5:0",
            {"train": 288, "test": 72},
        ),
        ("hands_msl150/msl150_sample.npz", "mediapipe", "mod:sample_id:4:0", None),
    ],
)
def test_real_sets_split_as_published(shared_data, file, layout, rule, expected):
    data = read_sequences(shared_data / file, LandmarkOptions({"layout": layout}))
    counts = Counter(splits_of(data, rule))
    assert expected is None or counts == expected
    assert sum(counts.values()) == len(data.start)
    assert set(data.label) == set(range(len(data.classes)))


def test_splits_come_from_the_subjects_where_no_rule_is_given(tmp_path):
    content = arrays(subject=np.array(["a", "a", "b", "b"]))
    del content["split"]
    np.savez(tmp_path / "set.npz", **content)
    options = ["--layout", "natops_arm", "--fps", "20", "--out", str(tmp_path / "out")]
    assert prepare.main([str(tmp_path / "set.npz"), *options]) == 0
    _, records = load_annotation(str(tmp_path / "out/annotation.json"))
    assert {r["split"] for r in records[:2]}.isdisjoint(r["split"] for r in records[2:])
