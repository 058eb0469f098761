"""From a clone of EgoGestAR, here of tiny videos, to an annotation for each fold."""

import csv

import numpy as np
import pytest

from mmfusion.datasets.annotation import load_annotation
from mmfusion.datasets.caches.skeleton_cache import write_skeleton_cache
from mmfusion.hands import SKELETON
from mmfusion.layouts.egogestar import GESTURES, NUM_CLIPS, UNCLASSIFIED, label_of
from mmfusion.layouts.skeleton_arrays import SkeletonKind
from tests.tools.command import TOOLS, run_tool
from tests.video_files import write_video

FOLDER = TOOLS / "data/egogestar"
USED = ["up_2", "star_3", "carret_10", "up_12", "up_6", "del_14", "up_1"]
USED += ["up_13", "del_12", "carret_17"]


@pytest.fixture
def clone(tmp_path):
    """Ten clips of 1.2 s in all folds, one of other movements, and a README."""
    folder = tmp_path / "clone/testvideo"
    folder.mkdir(parents=True)
    video = write_video(tmp_path / "one.mp4", size=(32, 32)).read_bytes()
    for name in [*USED, "unclassified_2", "star_17"]:
        (folder / f"testvideo_{name}.mp4").write_bytes(video)
    (folder / "README.md").touch()
    for name in USED:
        write_skeleton_cache(
            tmp_path / f"hands/testvideo_{name}.npz",
            keypoint=np.random.default_rng(0).random((12, 2, 21, 3), np.float32),
            valid=np.ones((12, 2), bool),
            frame_id=np.arange(12),
            fps=10.0,
            sequence=f"testvideo_{name}",
            kind=SkeletonKind.of(SKELETON),
        )
    return tmp_path


def prepare(folder, *more):
    options = ["--root", folder / "clone", "--out", folder / "out"]
    options += ["--hands", folder / "hands", *more]
    return run_tool("data/egogestar/prepare", *options)


def test_folds_hands_and_a_note_of_the_licence(clone):
    dry = prepare(clone, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "12 clips, 10 used, 1 unclassified left out" in dry.stdout
    assert "lost: 228 (testvideo_carret_1.mp4, " in dry.stdout
    assert "not in scenes.csv, not used: 1 (testvideo_star_17.mp4)" in dry.stdout
    assert "other files: 1 (README.md)" in dry.stdout
    assert not (clone / "out").exists()
    done = prepare(clone)
    assert done.returncode == 0, done.stderr
    assert "no scene in test is seen in training" in done.stdout
    assert "no licence" in (clone / "out/LICENCE.txt").read_text()
    tested = []
    for number in range(5):
        metainfo, records = load_annotation(str(clone / f"out/fold{number}.json"))
        tested += [r["id"] for r in records if r["split"] == "test"]
    assert sorted(tested) == sorted(f"testvideo_{name}.mp4" for name in USED)
    assert metainfo["classes"]["action"] == ["caret", "del", "star", "up"]
    assert metainfo["skeleton"]["hands"] == ["hand"]
    assert (clone / "out" / records[0]["skeleton"]["file"]).is_file()
    assert prepare(clone).returncode == 0
    log = (clone / "out/prepare.log").read_text()
    assert "replaced: an annotation of 10" in log


def test_broken_clips_are_named_and_may_be_dropped(clone):
    folder = clone / "clone/testvideo"
    (folder / "testvideo_up_6.mp4").write_bytes(b"version https://git-lfs.github.com\n")
    (folder / "testvideo_up_1.mp4").write_bytes(b"")
    whole = (folder / "testvideo_up_2.mp4").read_bytes()
    (folder / "testvideo_up_2.mp4").write_bytes(whole[: len(whole) // 2])
    done = prepare(clone)
    assert done.returncode == 1 and not (clone / "out").exists()
    assert "testvideo_up_6.mp4: it is a pointer of Git LFS: git lfs pull" in done.stdout
    assert "testvideo_up_1.mp4: it is empty" in done.stdout
    assert "cannot read video" in done.stdout and "--drop-faulty" in done.stdout
    done = prepare(clone, "--drop-faulty")
    assert done.returncode == 2 and "no clip has the fold 3" in done.stderr


def test_other_movements_are_a_class_by_an_option(clone):
    done = prepare(clone, "--with-unclassified", "--dry-run")
    assert "12 clips, 11 used" in done.stdout and "unclassified" in done.stdout


def test_a_folder_without_clips_is_one_line(tmp_path):
    done = run_tool("data/egogestar/prepare", "--root", tmp_path, "--out", tmp_path)
    assert done.returncode == 2 and "git clone https://github.com" in done.stderr


def test_the_list_of_scenes_is_whole():
    lines = (FOLDER / "scenes.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    labels = [label_of(row["video"]) for row in rows]
    assert len(rows) == len({row["video"] for row in rows}) == 237 and all(labels)
    assert sum(NUM_CLIPS.values()) == 240 and len(GESTURES) == 10
    folds = {}
    for row, label in zip(rows, labels, strict=True):
        if label != UNCLASSIFIED:
            folds.setdefault(row["scene"], set()).add((row["fold"], row["val_of"]))
    assert len(folds) == 18 and all(len(found) == 1 for found in folds.values())
    hard = (FOLDER / "hard.txt").read_text().splitlines()[1:]
    assert len(hard) == 35 and {*hard} < {row["video"] for row in rows}


def test_the_publications_own_clips(shared_data, tmp_path):
    """Twelve of its smaller copies, without looking for hands."""
    for name in [*USED, "square_3", "tick_9"]:
        name = f"testvideo_{name}.mp4"
        (tmp_path / name).symlink_to(shared_data / "egogestar/videos" / name)
    options = ["--root", tmp_path, "--out", tmp_path / "out"]
    done = run_tool("data/egogestar/prepare", *options, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "12 clips, 12 used" in done.stdout and "faulty files: 0" in done.stdout
    assert "no landmarks: no skeleton stream" in done.stdout
