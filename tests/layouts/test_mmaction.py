"""MMAction2's four formats are read as they are, and what is wrong is named."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmfusion.datasets import MultiModalDataset
from mmfusion.utils.errors import AnnotationError, SkeletonError


def _write(folder: Path, content: str | list | dict, name: str = "a.txt") -> str:
    path = folder / name
    if name.endswith(".pkl"):
        path.write_bytes(pickle.dumps(content, 2))
    else:
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text)
    return str(path)


def _records(path: str, kind: str, **options: Any) -> list[dict]:
    dataset = MultiModalDataset(path, [], ann_format=f"mmaction_{kind}", **options)
    return [dataset.get_record(index) for index in range(len(dataset))]


def test_video_list(tmp_path: Path) -> None:
    path = _write(tmp_path, "some/000.mp4 1\r\nsome/001.mp4 0\n\nsome/000.mp4 2\n")
    records = _records(path, "video", num_classes={"action": 5})
    assert [record["id"] for record in records] == [
        "some/000.mp4",
        "some/001.mp4",
        "some/000.mp4#2",
    ]
    first = records[0]
    assert first["video"] == "some/000.mp4" and first["label"] == {"action": 1}
    assert (first["start_sec"], first["end_sec"]) == (0, None)


def test_video_list_with_delimiter_label_map_and_task(tmp_path: Path) -> None:
    path = _write(tmp_path, "a b.mp4,1\nc.mp4,0\n")
    names = _write(tmp_path, "grab\nopen box\n", "map.txt")
    dataset = MultiModalDataset(
        path,
        [],
        ann_format="mmaction_video",
        ann_options={"delimiter": ",", "label_map": names},
        num_classes={"verb": 2},
    )
    assert dataset.get_classes("verb") == ["grab", "open box"]
    assert dataset.get_record(0)["label"] == {"verb": 1}


def test_video_list_without_labels(tmp_path: Path) -> None:
    records = _records(_write(tmp_path, "a.mp4\nb.mp4\n"), "video", test_mode=True)
    assert [record["label"] for record in records] == [{}, {}]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a.mp4 20240115\n", "line 1: the label is 20240115, .* no clip has .* 0;"),
        ("a.mp4 0\nb.mp4 5\n", "line 2: the label is 5, but no clip has the label 1;"),
        ("a.mp4 0\nb.mp4 -1\n", "line 2: the label is -1"),
        ("a.mp4  0\n", "line 1 is 'a.mp4  0', 3 parts by the delimiter ' '"),
        ("a.mp4\t0\n", "line 1 is 'a.mp4.t0', 1 parts by the delimiter ' '"),
        ("a.mp4,0\n", "line 1 is .* by the delimiter ' '.*ann_options.delimiter"),
        ("a.mp4 \uff11\n", "line 1: the label is .* expected an integer"),
        ("a.mp4 1_0\n", "line 1: the label is '1_0'; expected an integer"),
        ("a.mp4 1" + "0" * 40, "line 1: the label is '10000.* expected an integer"),
        ("b.mp4 0\n../a.mp4 1\n", "line 2 .id '../a.mp4'.: video is"),
    ],
)
def test_a_line_that_cannot_be_right_is_named(
    text: str, fault: str, tmp_path: Path
) -> None:
    with pytest.raises(AnnotationError, match=f"list.txt: {fault}"):
        _records(_write(tmp_path, text, "list.txt"), "video")


def test_a_gap_is_no_fault_where_the_classes_are_counted(tmp_path: Path) -> None:
    path = _write(tmp_path, "a.mp4 0\nb.mp4 5\n")
    assert len(_records(path, "video", num_classes={"action": 6})) == 2
    names = _write(tmp_path, "\n".join("abcdef"), "map.txt")
    assert _records(path, "video", ann_options={"label_map": names})[1]["label"] == {
        "action": 5
    }


def test_rawframe_list(tmp_path: Path) -> None:
    path = _write(tmp_path, "some/dir-1 163 1\n")
    (record,) = _records(path, "rawframe", num_classes={"action": 2})
    assert record["frame_dir"] == record["id"] == "some/dir-1"
    assert record["filename_tmpl"] == "img_{:05}.jpg" and record["start_index"] == 1
    assert record["total_frames"] == 163 and record["end_frame"] == 162
    assert record["end_sec"] == pytest.approx(163 / 30)


def test_rawframe_list_with_offset(tmp_path: Path) -> None:
    path = _write(tmp_path, "some/dir-1 12 163 3\nsome/dir-1 213 122 4\n")
    options = {"with_offset": True, "index_fps": 10.0, "filename_tmpl": "{:06d}.png"}
    records = _records(path, "rawframe", ann_options=options, num_classes={"action": 5})
    assert [record["id"] for record in records] == ["some/dir-1@12", "some/dir-1@213"]
    second = records[1]
    assert (second["start_frame"], second["end_frame"]) == (213, 334)
    assert (second["start_sec"], second["end_sec"]) == (21.3, 33.5)
    assert second["label"] == {"action": 4} and second["total_frames"] is None


def test_video_text(tmp_path: Path) -> None:
    path = _write(tmp_path, {"a.mp4": ["take", "put"], "b.mp4": ["cut"]}, "a.json")
    records = _records(path, "video_text", require=["text"])
    assert [record["id"] for record in records] == ["a.mp4", "a.mp4#2", "b.mp4"]
    assert records[1]["text"] == {"text": "put"} and records[1]["video"] == "a.mp4"


@pytest.mark.parametrize(
    ("kind", "content", "options", "message"),
    [
        ("video", "a.mp4 0\nb.mp4 2\n", {}, r"a.txt: line 2: the label is 2; .*0\.\.1"),
        ("video", "a.mp4 -1\n", {}, r"line 1: the label is -1; .*0\.\.1"),
        ("video", "a.mp4 1 3\n", {}, "line 1 is 'a.mp4 1 3', 3 parts .*Several labels"),
        ("video", "a b.mp4\n", {}, "line 1: the label is 'b.mp4'; expected an integer"),
        (
            "video",
            "a.mp4 0\n",
            {"multi_class": True},
            "ann_options has 'multi_class'; expected",
        ),
        ("video", "../a.mp4 0\n", {}, "video is '../a.mp4'; expected a relative path"),
        ("rawframe", "a 0 1\n", {}, "line 1: the clip has 0 frames"),
        ("rawframe", "a 1 0 1\n", {}, r"line 1 .* 4 parts; .*with_offset=False"),
        ("rawframe", "a x 1\n", {}, "line 1: the number of frames is 'x'"),
        ("rawframe", "a -1 5 1\n", {"with_offset": True}, "5 frames from frame -1"),
        (
            "rawframe",
            "a\n",
            {},
            "line 1 .* 1 parts; expected 'folder num_frames label'",
        ),
        ("rawframe", "a 5 0\n", {"filename_tmpl": "../{}"}, "filename_tmpl is"),
        ("video", "a.mp4 0\n", {"delimeter": ","}, "did you mean 'delimiter'"),
        ("video", "a.mp4 0\n", {"split": "x"}, "ann_options has 'split'; expected"),
        ("video_text", [1], {}, r"holds a list; expected {path: \[texts\]}"),
        ("video_text", {"a": "b"}, {}, "texts of 'a' are 'b'; expected a list"),
    ],
)
def test_wrong_list_is_named(
    tmp_path: Path, kind: str, content: Any, options: dict, message: str
) -> None:
    path = _write(tmp_path, content)
    classes = {} if kind == "video_text" else {"action": 2}
    with pytest.raises(ValueError, match=message):
        _records(path, kind, ann_options=options, num_classes=classes)


def test_lists_have_no_splits_and_one_task(tmp_path: Path) -> None:
    path = _write(tmp_path, "a.mp4 0\n")
    with pytest.raises(ValueError, match="split is 'val'; expected None"):
        _records(path, "video", split="val")
    with pytest.raises(ValueError, match="num_classes has the tasks .*expected one"):
        _records(path, "video", num_classes={"verb": 1, "noun": 1})


def _pose(name: str = "a", frames: int = 4, **changes: Any) -> dict:
    keypoint = np.arange(1.0, 1 + 2 * frames * 5 * 2, dtype="f2")
    entry = {
        "frame_dir": name,
        "label": np.int64(1),
        "total_frames": frames,
        "img_shape": (1080, 1920),
        "keypoint": keypoint.reshape(2, frames, 5, 2),
        "keypoint_score": np.ones((2, frames, 5), "f2"),
    }
    return {**entry, **changes}


def test_pose(tmp_path: Path) -> None:
    score = np.ones((2, 4, 5), "f4")
    score[1, 2] = 0
    content = {
        "split": {"xsub_train": ["a"], "xsub_val": ["b"]},
        "annotations": [_pose("a", keypoint_score=score), _pose("b", label=0)],
    }
    path = _write(tmp_path, content, "pose.pkl")
    dataset = MultiModalDataset(
        path,
        [],
        ann_format="mmaction_pose",
        split="xsub_train",
        num_classes={"action": 60},
        ann_options={"skeleton": {"layout": "x"}},
    )
    assert len(dataset) == 1 and dataset.metainfo["skeleton"] == {"layout": "x"}
    results = dataset[0]
    assert results["skeleton_path"] is None and results["label"] == {"action": 1}
    assert results["end_sec"] == pytest.approx(4 / 30)
    data = results["skeleton_data"]
    assert data["keypoint"].shape == (4, 2, 5, 3) and data["valid"].shape == (4, 2, 5)
    assert (
        data["keypoint"].dtype == np.float32 and (data["keypoint"][..., 2] == 0).all()
    )
    given = content["annotations"][0]["keypoint"]
    assert data["keypoint"][3, 1, 4, :2].tolist() == given[1, 3, 4].tolist()
    assert not data["valid"][2, 1].any() and data["valid"].sum() == 35
    assert data["sequence"] == results["group"] == "a"


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ({"a": 1}, "the split 'train' is {'a': 1}; expected a list"),
        (3, "the split 'train' is 3; expected a list"),
        ([["a"]], r"the split 'train' is \[\['a'\]\]; expected a list"),
        (None, "the split 'train' is None"),
    ],
)
def test_a_pose_split_is_a_list_of_ids(names: Any, fault: str, tmp_path: Path) -> None:
    content = {"split": {"train": names, 3: ["a"]}, "annotations": [_pose()]}
    path = _write(tmp_path, content, "pose.pkl")
    with pytest.raises(AnnotationError, match=f"pose.pkl: {fault}"):
        _records(path, "pose", split="train")
    with pytest.raises(AnnotationError, match="split is 'val'; expected one of .*pose"):
        _records(path, "pose", split="val")


def test_pose_pads_persons_and_knows_padding(tmp_path: Path) -> None:
    keypoint = np.ones((1, 4, 5, 3))
    keypoint[0, 3] = 0
    keypoint[0, 2, 1] = np.nan
    entry = _pose(filename="b", keypoint=keypoint)
    del entry["keypoint_score"]
    (data,) = _pose_data(_write(tmp_path, [entry], "pose.pkl"), max_persons=3)
    assert data["keypoint"].shape == (4, 3, 5, 3)
    assert data["valid"][:, 0].sum(1).tolist() == [5, 5, 4, 0]
    assert not data["valid"][:, 1:].any() and np.isfinite(data["keypoint"]).all()
    assert data["sequence"] == "b"


def _pose_data(path: str, **options: Any) -> list[dict]:
    dataset = MultiModalDataset(
        path,
        [],
        ann_format="mmaction_pose",
        ann_options=options,
        num_classes={"action": 2},
    )
    return [dataset[index]["skeleton_data"] for index in range(len(dataset))]


def test_detections_are_sorted_into_frames(tmp_path: Path) -> None:
    entry = _pose(
        total_frames=9,
        keypoint=np.stack([np.full((5, 3), n) for n in (1, 2, 3, 4)]),
        keypoint_score=np.ones((4, 5)),
        frame_inds=np.array([7, 3, 7, 7]),
        box_score=np.array([0.5, 0.9, 0.9, 0.1]),
    )
    (data,) = _pose_data(_write(tmp_path, [entry], "pose.pkl"))
    assert data["frame_id"].tolist() == [3, 7]
    assert data["keypoint"][:, :, 0, 0].tolist() == [[2, 0], [3, 1]]
    assert data["valid"][:, :, 0].tolist() == [[True, False], [True, True]]


def test_real_annotation_with_a_file_for_each_clip(
    tmp_path: Path, shared_data: Path
) -> None:
    path = shared_data / "videos/mmaction2/tests_data_annotations_sample.pkl"
    with pytest.raises(AnnotationError, match="no 'keypoint'.*skeleton_prefix"):
        _records(str(path), "pose", split="train")
    dataset = MultiModalDataset(
        str(path),
        [],
        data_root=str(tmp_path),
        split="train",
        ann_format="mmaction_pose",
        num_classes={"action": 400},
        ann_options={"skeleton_prefix": "kpfiles"},
    )
    assert len(dataset) == 100 and dataset.get_record(0)["label"] == {"action": 325}
    with pytest.raises(SkeletonError, match=r"kpfiles/jf7RDuUTrsQ.pkl.*not exist"):
        dataset[0]
    (tmp_path / "kpfiles").mkdir()
    target = tmp_path / "kpfiles/jf7RDuUTrsQ.pkl"
    own = {"keypoint": np.ones((3, 17, 3)), "frame_inds": np.array([0, 0, 299])}
    target.write_bytes(pickle.dumps(own))
    data = dataset[0]["skeleton_data"]
    assert data["keypoint"].shape == (2, 2, 17, 3)
    target.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(SkeletonError, match=r"jf7RDuUTrsQ.pkl.*'os.system'"):
        dataset[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 2}, r"annotation 0: the label is 2; expected 0\.\.1"),
        ({"label": [1, 2]}, "label is .*; expected an integer"),
        ({"total_frames": 5}, "total_frames is 5 but keypoint has 4 frames"),
        ({"total_frames": 0}, "total_frames is 0; expected an integer >= 1"),
        ({"total_frames": True}, "total_frames is True; expected an integer >= 1"),
        ({"total_frames": 10**9, "frame_inds": [0]}, "10+ but keypoint has 4 frames"),
        ({"label": True}, "label is True; expected an integer"),
        (
            {
                "keypoint": np.ones((2, 5, 2)),
                "keypoint_score": None,
                "frame_inds": np.array([0, 4]),
            },
            "the last of frame 4; expected one at least, and frames below .* 4",
        ),
        ({"keypoint": np.ones((2, 4, 5))}, r"keypoint_score is .*; expected \(2, 4\)"),
        ({"keypoint": "x"}, "keypoint is no array of numbers"),
        ({"keypoint": np.ones((2, 4, 5, 4))}, r"keypoint is \(2, 4, 5, 4\); expected"),
        ({"keypoint_score": np.ones((1, 4, 5))}, r"keypoint_score is \(1, 4, 5\); exp"),
        ({"frame_dir": 3}, "frame_dir is 3; expected the clip's id"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_wrong_pose_is_named(tmp_path: Path, change: dict, message: str) -> None:
    path = _write(tmp_path, [_pose(**change)], "pose.pkl")
    with pytest.raises(AnnotationError, match=message):
        _records(path, "pose", num_classes={"action": 2})


def test_wrong_pose_file_is_named(tmp_path: Path) -> None:
    for content, message in [({}, "without a list"), ([], "without a list")]:
        with pytest.raises(AnnotationError, match=message):
            _records(_write(tmp_path, content, "pose.pkl"), "pose")
    path = _write(tmp_path, {"split": {"a": []}, "annotations": [_pose()]}, "pose.pkl")
    with pytest.raises(AnnotationError, match=r"split is 'b'; expected one of \['a'\]"):
        _records(path, "pose", split="b")


def test_hostile_pose_annotation_is_refused(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    path = tmp_path / "pose.pkl"
    path.write_bytes(f"cposix\nsystem\n(S'touch {trap}'\ntR.".encode())
    with pytest.raises(AnnotationError, match=r"pose.pkl.*'posix.system'.*refused"):
        _records(str(path), "pose")
    assert not trap.exists()


def test_relative_files_count_from_data_root(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.mp4 1\n")
    (tmp_path / "names.txt").write_text("cut\npour\n")
    dataset = MultiModalDataset(
        "list.txt",
        [],
        data_root=str(tmp_path),
        ann_format="mmaction_video",
        ann_options=dict(label_map="names.txt"),
    )
    assert dataset.get_classes("action") == ["cut", "pour"]
    with pytest.raises(ValueError, match="relative path counts from data_root"):
        MultiModalDataset("lists.txt", [], data_root=str(tmp_path))
