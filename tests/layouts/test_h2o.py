"""H2O's published layout: the real label files, and small ones with faults."""

import csv
import gzip
import shutil
from collections import Counter
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from mmfusion.layouts import h2o
from mmfusion.layouts.frame_listing import SPLITS
from mmfusion.utils.errors import FrameFolderError, SkeletonError
from tests.h2o_files import HEADER, hand_line, write_actions, write_sequence

# clips, sequences, action frames, min/median/max length: the published files
REAL = {
    "train": (569, 114, 55_747, (22, 74, 683)),
    "val": (122, 24, 11_638, (30, 78.5, 342)),
    "test": (242, 46, 23_391, (34, 82, 402)),
}


def real_clips(shared_data: Path, split: str) -> list[h2o.H2OClip]:
    return h2o.read_action_file(h2o.find_action_file(shared_data / "h2o", split))


def test_class_table_is_the_published_one(shared_data):
    with open(shared_data / "h2o" / "action_classes.csv") as file:
        rows = list(csv.DictReader(file))[1:]  # the first is the background
    names = h2o.classes()
    assert [len(names[task]) for task in ("action", "verb", "noun")] == [36, 11, 8]
    for number, row in enumerate(rows):
        label = h2o.labels_of(number)
        assert names["action"][number] == row["action"]
        assert label["verb"] == int(row["verb_id"]) - 1
        assert label["noun"] == int(row["object_id"]) - 1
        assert names["verb"][label["verb"]] == row["verb"]
        assert names["noun"][label["noun"]] == row["object"]


@pytest.mark.parametrize("split", SPLITS)
def test_real_split_has_the_published_counts(shared_data, split):
    clips = real_clips(shared_data, split)
    lengths = [clip.end - clip.start + 1 for clip in clips]
    found = (min(lengths), median(lengths), max(lengths))
    sequences = {clip.sequence for clip in clips}
    assert (len(clips), len(sequences), sum(lengths), found) == REAL[split]
    assert [clip.row for clip in clips] == list(range(1, len(clips) + 1))


def test_real_labels_per_class(shared_data):
    train = Counter(clip.action for clip in real_clips(shared_data, "train"))
    val = Counter(clip.action for clip in real_clips(shared_data, "val"))
    assert sorted(train) == sorted(val) == list(range(36))
    assert (min(train.values()), max(train.values())) == (12, 25)
    unusual = {action + 1: count for action, count in val.items() if count != 3}
    assert unusual == {24: 4, 28: 4, 3: 6, 4: 6, 11: 6, 12: 6}
    assert {clip.action for clip in real_clips(shared_data, "test")} == {None}


def test_real_clips_do_not_overlap_and_make_the_papers_frame_count(shared_data):
    last = {}
    for split in SPLITS:
        clips = real_clips(shared_data, split)
        for one, two in zip(clips, clips[1:], strict=False):
            assert one.sequence != two.sequence or one.end < two.start
        last |= {clip.sequence: clip.last_frame for clip in clips}
    assert len(last) == 184
    assert sum(frame + 1 for frame in last.values()) == 114_329
    assert 5 * 114_329 == 571_645  # five cameras


@pytest.mark.parametrize(("split", "expected"), [("train", 5), ("val", 0), ("test", 0)])
def test_real_pose_lists_clamp_five_ends(shared_data, split, expected):
    listed: dict[str, list[int]] = {}
    path = shared_data / "h2o" / "pose_lists" / f"pose_{split}.txt.gz"
    for line in gzip.decompress(path.read_bytes()).decode().split():
        sequence, frame = line.split("/cam4/rgb/")
        listed.setdefault(sequence, []).append(int(frame.removesuffix(".png")))
    clamped = []
    for clip in real_clips(shared_data, split):
        start, end = h2o.clamp_clip(clip, max(listed[clip.sequence]))
        assert (start, clip.end - end) in ((clip.start, 0), (clip.start, 1))
        if end < clip.end:
            clamped.append((clip.sequence, clip.end))
    assert len(clamped) == expected
    if expected:
        assert clamped == [
            ("subject1/o1/1", 744),
            ("subject1/o2/1", 668),
            ("subject2/h1/2", 649),
            ("subject2/k2/2", 621),
            ("subject3/k1/3", 981),
        ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1 subject1/h1/0 37 0 5 0 9", r":3: action_label is 37, expected 1\.\.36"),
        ("1 subject1/h1/0 0 0 5 0 9", r":3: action_label is 0, expected 1\.\.36"),
        ("1 subject1/h1/0 1 0 5 0", r":3: 6 columns, expected 7: id path"),
        ("1 subject1/h1/0 1 6 5 0 9", r":3: start_act 6 and end_act 5, expected"),
        ("1 subject1/h1/0 1 0 5 -1 9", r":3: start_frame is -1, expected 0 or more"),
        ("1 subject1/h1/0 1 x 5 0 9", r":3: start_act is 'x', expected an integer"),
        ("1 subject1/h1/0 1 1.5 5 0 9", r":3: start_act is '1\.5', expected"),
        ("1 ../h1/0 1 0 5 0 9", r":3: path is '\.\./h1/0', expected e\.g\. subject1"),
        ("7 subject1/h1/0 1 0 5 0 9", r"id 7 stands on more than one line"),
    ],
)
def test_bad_row_is_named_by_file_and_line(tmp_path, row, message):
    path = tmp_path / "action_train.txt"
    path.write_text(f"{HEADER}\n7 subject1/h1/0 2 0 5 0 9\n{row}\n")
    with pytest.raises(ValueError, match=f"action_train.txt:? ?.*{message}"):
        h2o.read_action_file(path)


def test_header_is_checked(tmp_path):
    path = tmp_path / "action_val.txt"
    path.write_text("id,path\n")
    with pytest.raises(ValueError, match=r"action_val.txt:1: header is 'id,path'"):
        h2o.read_action_file(path)


def test_missing_action_file_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"label_split/action_val\.txt"):
        h2o.find_action_file(tmp_path, "val")
    with pytest.raises(ValueError, match="split is 'dev', expected one of train"):
        h2o.find_action_file(tmp_path, "dev")


@pytest.mark.parametrize("folder", h2o.LABEL_FOLDERS)
def test_action_files_are_found_in_every_folder(tmp_path, folder):
    write_actions(tmp_path, folder)
    path = h2o.find_action_file(tmp_path, "test")
    assert [clip.action for clip in h2o.read_action_file(path)] == [None]


def test_hand_pose_has_two_hands_and_flags(tmp_path):
    path = tmp_path / "000003.txt"
    path.write_text(hand_line(3, right=0))
    joints, valid = h2o.read_hand_pose(path)
    assert joints.shape == (2, 21, 3) and joints.dtype == np.float32
    assert valid.tolist() == [True, False]
    np.testing.assert_allclose(joints[0, 20], [0.20, 0.03, 0.5])
    assert not joints[1].any()  # flag 0: whatever the file says


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # 62 instead of 63 joint numbers a hand
        (" ".join(["1"] * 126), r"126 numbers, expected 128"),
        ("", r"0 numbers, expected 128"),
        ("1 a " + "0 " * 126, r"not plain numbers"),
        (hand_line(0, left=2), r"flags are \[2.0, 1.0\], expected 0 or 1"),
        (hand_line(0).replace("0.5000", "nan"), r"is not finite"),
    ],
    ids=["62 numbers a hand", "empty", "not a number", "flag", "nan"],
)
def test_bad_hand_pose_names_the_file(tmp_path, text, message):
    path = tmp_path / "000012.txt"
    path.write_text(text)
    with pytest.raises(SkeletonError, match=f"000012.txt.*{message}"):
        h2o.read_hand_pose(path)


@pytest.mark.parametrize(
    "subject", ["subject1", "subject1_ego", "subject_1", "subject_1_ego_v1_1"]
)
def test_every_spelling_of_a_subject_is_found(tmp_path, subject):
    write_sequence(tmp_path, f"{subject}/h1/0", 3)
    write_sequence(tmp_path, "subject11/h1/0", 5)
    sequence = h2o.scan_sequence(tmp_path, "subject1/h1/0")
    assert sequence.frames.ids.tolist() == sequence.poses.ids.tolist() == [0, 1, 2]


def test_images_and_poses_of_two_archives_are_joined(tmp_path):
    camera = write_sequence(tmp_path, "subject1_ego/h1/0", 4)
    poses = tmp_path / "subject1_pose/h1/0/cam4"
    poses.mkdir(parents=True)
    (camera / "hand_pose").rename(poses / "hand_pose")
    (camera / "hand_pose_MANO").mkdir()
    sequence = h2o.scan_sequence(tmp_path, "subject1/h1/0")
    assert sequence.frames.folder == camera / "rgb256"
    assert sequence.poses.folder == poses / "hand_pose"
    cameras = h2o.camera_folders(tmp_path, "subject1/h1/0")
    assert h2o.stream_folder(cameras, "hand_pose_mano") == camera / "hand_pose_MANO"


@pytest.mark.parametrize(
    ("frames", "suffix"), [("rgb", ".png"), ("rgb256", ".jpg"), ("rgb256", ".png")]
)
def test_image_kind_is_detected(tmp_path, frames, suffix):
    write_sequence(tmp_path, "subject1/h1/0", 3, frames=frames, suffix=suffix)
    listing = h2o.scan_sequence(tmp_path, "subject1/h1/0").frames
    assert (listing.folder.name, listing.suffix) == (frames, suffix)


def test_frames_of_another_kind_are_not_left_out_in_silence(tmp_path):
    write_sequence(tmp_path, "subject1/h1/0", 3, frames="rgb", suffix=".png")
    images = h2o.scan_sequence(tmp_path, "subject1/h1/0").frames.folder
    shutil.copy(images / "000000.png", images / "000001.jpg")  # of one that is there
    assert h2o.scan_sequence(tmp_path, "subject1/h1/0").frames.suffix == ".png"
    shutil.copy(images / "000000.png", images / "000007.jpg")
    said = (
        "1 of its frames, the first of them 000007, are there as .jpg only, 3 as .png"
    )
    with pytest.raises(FrameFolderError, match=said):
        h2o.scan_sequence(tmp_path, "subject1/h1/0")


def test_intrinsics_are_scaled_to_the_images(tmp_path):
    write_sequence(tmp_path, "subject1/h1/0", 1, size=(455, 256))
    camera = h2o.scan_sequence(tmp_path, "subject1/h1/0").camera
    assert camera["fx"] == pytest.approx(640 * 455 / 1280)
    assert camera["cy"] == pytest.approx(360 * 256 / 720)
    assert (camera["width"], camera["height"]) == (455, 256)


def test_missing_sequence_and_empty_sequence_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no subject1/h1/0/cam4, subject1_ego"):
        h2o.scan_sequence(tmp_path, "subject1/h1/0")
    (tmp_path / "subject1/h1/0/cam4").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="holds neither images .* hand_pose/"):
        h2o.scan_sequence(tmp_path, "subject1/h1/0")


def test_record_clamps_the_end_and_lists_holes(tmp_path):
    camera = write_sequence(tmp_path, "subject1/h1/0", 6)
    (camera / "rgb256/000003.jpg").unlink()
    clip = h2o.H2OClip(1, "subject1/h1/0", 15, 2, 9, 9)
    record = h2o.make_record(
        clip,
        "train",
        h2o.scan_sequence(tmp_path, "subject1/h1/0"),
        frame_dir="subject1/h1/0/cam4/rgb256",
        skeleton_file=None,
    )
    assert (record["start_frame"], record["end_frame"]) == (2, 5)
    assert (record["start_sec"], record["end_sec"]) == (2 / 30, 6 / 30)
    assert record["frame_ids"] == [2, 4, 5]
    assert record["label"] == {"action": 15, "verb": 1, "noun": 7}


def test_clip_beyond_all_files_has_no_record():
    clip = h2o.H2OClip(1, "subject1/h1/0", 0, 7, 9, 9)
    assert h2o.clamp_clip(clip, 6) is None
    assert h2o.clamp_clip(clip, 7) == (7, 7)
