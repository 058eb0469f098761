"""OakInk2's published layout: the real samples, and small ones with faults."""

import json
import pickle
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from mmfusion.layouts import oakink2
from mmfusion.layouts.frame_listing import SPLITS, FrameListing
from mmfusion.utils.errors import AnnotationError, SkeletonError
from tests.oakink2_files import SEQUENCES, annotation, world_joints, write_oakink2


@pytest.mark.parametrize(
    ("split", "count"), [("train", 431), ("val", 39), ("test", 157)]
)
def test_real_splits(shared_data, split, count):
    assert len(set(oakink2.read_split(shared_data / "oakink2", split))) == count


def test_real_splits_do_not_overlap_and_cover_all_targets(shared_data):
    root = shared_data / "oakink2"
    names = [name for split in SPLITS for name in oakink2.read_split(root, split)]
    targets = oakink2.read_task_targets(root / "program")
    assert len(names) == len(set(names)) == len(targets) == 627
    assert set(names) == set(targets)
    assert len(set(targets.values())) == 312


def test_real_programs(shared_data):
    program = shared_data / "oakink2" / "program"
    found = {}
    for path in sorted((program / "program_info").iterdir()):
        for one in oakink2.read_program(program, path.stem.replace("++", "/")):
            found.setdefault(one.name, []).append((one.start, one.end))
            assert oakink2.is_action(one)
            assert one.description
    assert found == {
        "press_button": [(1095, 1467), (2336, 2840)],
        "place_onto": [(1595, 2340)],
        "pour": [(3228, 5634)],
        "unscrew": [(1334, 3880)],
        "brush_whiteboard": [(1076, 5066)],
    }
    assert pytest.approx(20, abs=0.1) == (5634 - 3228) / oakink2.FPS
    assert pytest.approx(3.1) == (1467 - 1095) / oakink2.FPS


def test_real_keys_of_every_file_parse(shared_data):
    count = 0
    for kind in ("program_info", "desc_info"):
        for path in (shared_data / "oakink2" / "program" / kind).iterdir():
            for key in json.loads(path.read_text()):
                oakink2.parse_key(key, str(path))
                count += 1
    assert count == 6 + 7


@pytest.mark.parametrize(
    "key",
    ["(None, None)", "((5, 5), None)", "((9, 5), None)", "((-1, 5), None)", "(1, 2)"]
    + ["((1.5, 2), None)", "[None, (1, 2)]", "__import__('os')", "", "(" * 300],
)
def test_bad_key_names_the_file(tmp_path, key):
    folder = tmp_path / "program_info"
    folder.mkdir()
    (folder / "a++b.json").write_text(json.dumps({key: {"primitive": "pour"}}))
    with pytest.raises(ValueError, match=r"a\+\+b.json: key .* expected"):
        oakink2.read_program(tmp_path, "a/b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "holds a list"),
        ('{"(None, (1, 2))": 3}', "expected an object"),
        ('{"(None, (1, 2))": {"primitive": null}}', "primitive of .* is None"),
    ],
)
def test_bad_program_names_the_file(tmp_path, content, message):
    folder = tmp_path / "program_info"
    folder.mkdir()
    (folder / "a++b.json").write_text(content)
    with pytest.raises(ValueError, match=rf"a\+\+b.json.*{message}"):
        oakink2.read_program(tmp_path, "a/b")


def test_split_errors_name_file_and_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train.txt .* looked for"):
        oakink2.read_split(tmp_path, "train")
    (tmp_path / "val.txt").write_text("a/b\n../c\n")
    with pytest.raises(ValueError, match=r"val.txt:2: '../c', expected"):
        oakink2.read_split(tmp_path, "val")


def test_enclosing_interval_and_description(tmp_path):
    root = write_oakink2(tmp_path)
    primitives = oakink2.read_program(root / "program", SEQUENCES["train"])
    assert [(one.start, one.end) for one in primitives][:2] == [(100, 120), (104, 140)]
    assert primitives[0].description == "Pour tea."
    assert [oakink2.is_action(one) for one in primitives] == [1, 1, 0, 0, 1]


def test_joints_move_into_the_camera_where_it_has_a_pose():
    valid = np.ones((48, 2), bool)
    valid[4, 1] = False
    ids = np.arange(100, 148)
    joints, kept, frames = oakink2.to_camera(world_joints(), valid, ids, annotation())
    assert joints.shape == (12, 2, 21, 3) and joints.dtype == np.float32
    assert frames.tolist() == list(range(100, 148, 4))
    np.testing.assert_allclose(joints[0, 1, 20], [0.20, 0.1, 1.1], rtol=1e-6)
    assert not kept[1, 1] and not joints[1, 1].any()
    with pytest.raises(ValueError, match="no frame of the joints has a pose"):
        oakink2.to_camera(world_joints(), valid, ids + 1000, annotation())


def test_camera_is_scaled_to_the_images(tmp_path):
    root = write_oakink2(tmp_path)
    frames = oakink2.egocentric_frames(root, SEQUENCES["train"], annotation())
    assert isinstance(frames, FrameListing) and frames.folder.name == "000123"
    camera = oakink2.egocentric_camera(annotation(), frames)
    assert camera["fx"] == pytest.approx(400 * 106 / 848)
    assert camera["cy"] == pytest.approx(240 * 60 / 480)
    assert oakink2.egocentric_camera(annotation(), None)["fx"] == 400


def test_annotation_without_a_key_is_named(tmp_path):
    root = write_oakink2(tmp_path)
    path = next((root / "anno_preview").iterdir())
    assert set(oakink2.read_annotation_pickle(path)) >= {"cam_def", "raw_mano"}
    content = annotation()
    del content["cam_extr"]
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="lacks cam_extr"):
        oakink2.read_annotation_pickle(path)
    content = annotation()
    content["cam_intr"] = {"allocentric_top": {}}
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="cam_intr has no camera 'egocentric'"):
        oakink2.read_annotation_pickle(path)


def test_bad_joints_name_file_and_shape(tmp_path):
    path = tmp_path / "a.npz"
    ids = np.arange(3)
    np.savez(path, joints_world=np.zeros((3, 2, 20, 3)), valid=ids, frame_id=ids)
    with pytest.raises(SkeletonError, match=r"a.npz.*\(3, 2, 20, 3\).*expected"):
        oakink2.read_joints(path)
    np.savez(path, joints=np.zeros(3))
    with pytest.raises(SkeletonError, match="a.npz.*expected an npz with joints"):
        oakink2.read_joints(path)


def test_records_index_images_by_number():
    view = oakink2.EgoView("a/b", "d", ".jpg", [100, 104, 112], 0, None)
    one = oakink2.Primitive("a/b", 0, "pour", None, (101, 140), None)
    record = oakink2.make_record(
        one, "train", view, classes=["cut", "pour"], skeleton_file=None, target=None
    )
    assert record["frame_ids"] == [104, 112]
    assert (record["start_frame"], record["end_frame"]) == (101, 115)
    assert (record["start_sec"], record["end_sec"]) == (101 / 120, 116 / 120)
    assert record["label"] == {"action": 1}
    none = oakink2.Primitive("a/b", 1, "pour", None, (105, 112), None)
    assert (
        oakink2.make_record(
            none, "val", view, classes=["pour"], skeleton_file=None, target=None
        )
        is None
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"frame_ids": [None]}, "frame_ids is .None.; expected a list of numbers"),
        ({"frame_ids": ["1"]}, "frame_ids is .'1'.; expected a list of numbers"),
        ({"camera": 3}, "camera is 3; expected intrinsics"),
        ({"more": 1}, "has the unknown key 'more'"),
    ],
)
def test_a_damaged_view_is_named(change: dict, fault: str, tmp_path: Path) -> None:
    view = oakink2.EgoView("a/b", None, None, [0, 4], 0, {"fx": 1.5})
    path = tmp_path / "view.json"
    path.write_text(json.dumps(asdict(view)))
    assert oakink2.read_view(path) == view
    path.write_text(json.dumps({**asdict(view), **change}))
    with pytest.raises(AnnotationError, match=f"view.json: {fault}"):
        oakink2.read_view(path)
