"""Landmarks of one's own, with and without videos, to caches that training reads."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.annotation import load_annotation
from mmfusion.datasets.caches.skeleton_cache import load_skeleton_file
from mmfusion.visualization.hands import HAND_COLOURS
from tests.layouts import landmark_files as files
from tests.tools.command import run_tool
from tests.tools.data.custom.test_prepare import run
from tests.video_files import write_video

NAMES = ("wave/0", "wave/1", "wave/2", "point/0", "point/1", "point/2")


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Two classes of three videos of 12 frames at 10 frames a second."""
    folder = tmp_path_factory.mktemp("own")
    for name in NAMES:
        (folder / name).parent.mkdir(exist_ok=True)
    first = write_video(folder / "wave/0.mp4", size=(32, 32))
    for name in NAMES[1:]:
        (folder / f"{name}.mp4").write_bytes(first.read_bytes())
    return folder


def landmarks(folder: Path, frames: int = 12, **more) -> tuple[np.ndarray, np.ndarray]:
    points, valid = files.two_hands(frames)
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.savez(folder / f"{name}.npz", keypoint=points, valid=valid, **more)
    return points, valid


def first_sample(out: Path) -> dict:
    pipeline = [{"type": "SampleTimes", "num_frames": {"skeleton": 12}}]
    pipeline.append({"type": "LoadSkeleton"})
    return MultiModalDataset("annotation.json", pipeline, data_root=str(out))[0]


HANDS = ("--layout", "mediapipe", "--unit", "image")


def test_landmarks_of_videos(videos, tmp_path):
    points, valid = landmarks(tmp_path / "found")
    out = tmp_path / "out"
    done = run(videos, "--out", out, "--hands", tmp_path / "found", *HANDS)
    assert done.returncode == 0, done.stderr
    assert "hand valid, left: 83.33 % of 72 frames" in done.stdout
    metainfo, records = load_annotation(str(out / "annotation.json"))
    assert metainfo["skeleton"]["layout"] == "mediapipe"
    cache = load_skeleton_file(str(out / "skeleton/wave/0.mp4.npz"))
    np.testing.assert_array_equal(cache.keypoint, points)
    np.testing.assert_array_equal(cache.valid, valid)
    assert cache.fps == pytest.approx(10.0) and cache.sequence == "wave/0.mp4"
    assert records[0]["index_fps"] == cache.fps


@pytest.mark.parametrize("rate", [(), ("--fps", "5")])
def test_landmarks_of_another_length_are_named(videos, tmp_path, rate):
    landmarks(tmp_path / "found", frames=7 if rate else 9)
    options = ("--out", tmp_path / "out", "--hands", tmp_path / "found", *HANDS, *rate)
    done = run(videos, *options)
    message = "its 7 rows reach to 1.40 s" if rate else "it has 9 rows, to frame 8"
    assert done.returncode == (0 if rate else 1), done.stdout
    assert (message in done.stdout) == (not rate)
    assert run(videos, *options, "--fps", "4").returncode == 1


def test_skeletons_alone_with_two_dimensions_and_a_mask(tmp_path):
    body = np.random.default_rng(0).random((12, 15, 2))
    body[4, 3] = np.nan
    for name in NAMES:
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "own" / f"{name}.npy", body)
    (tmp_path / "bones.csv").write_text("0,1\n1,2\n")
    options = ("--joints", 15, "--wrist", 0, "--bones", tmp_path / "bones.csv")
    options += ("--skeletons", "body", "--fps", 10)
    out = tmp_path / "own/out"
    done = run(tmp_path / "own", "--out", out, *options)
    assert done.returncode == 0, done.stderr
    skeleton = load_annotation(str(out / "annotation.json"))[0]["skeleton"]
    assert skeleton["hands"] == ["body"] and skeleton["dims"] == 2
    assert (skeleton["bones"], skeleton["wrist"]) == ([[0, 1], [1, 2]], 0)
    sample = first_sample(out)
    expected = np.nan_to_num(body).astype(np.float32)
    expected[4, 3] = expected[3, 3]  # held
    np.testing.assert_array_equal(sample["joints"][0, :, 0, :, :2], expected)
    assert np.argwhere(~sample["joints_mask"]).tolist() == [[0, 4, 0, 3]]
    again = run(tmp_path / "own", "--out", out, *options)
    assert again.returncode == 0, again.stderr


def test_a_list_names_its_landmarks(videos, tmp_path):
    points, valid = files.two_hands(12)
    (tmp_path / "own").mkdir()
    path = files.holistic(tmp_path / "own", points, valid)
    rows = [f"{path.name},{label},{time}" for label in "ab" for time in (0, 0.5)]
    (tmp_path / "own/clips.csv").write_text("\n".join(["hands,label,start", *rows[:1]]))
    done = run(tmp_path / "own", "--out", tmp_path / "out")
    assert done.returncode == 1 and "csv:2: " in done.stdout
    assert "does not say its frame rate, and there is no video" in done.stdout
    done = run(tmp_path / "own", "--out", tmp_path / "out", "--fps", 10, "--no-labels")
    assert done.returncode == 0, done.stderr
    assert first_sample(tmp_path / "out")["joints"].shape == (1, 12, 2, 21, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--hands", "nowhere"), "nowhere has no landmarks of the 6 clips"),
        (("--fps", "0"), "--fps is 0.0"),
        (("--layout", "mediapip"), "layout is 'mediapip'.*did you mean 'mediapipe'"),
        (("--bones", "bones.txt"), "bones.txt:1 is .*expected two numbers"),
        (("--wrist", "3", "--joints", "2"), "wrist has joint 3; expected 0..1"),
        (("--layout", "mediapipe", "--joints", "20"), "num_joints is 20 beside"),
    ],
)
def test_a_wrong_option_is_one_line(videos, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    Path("bones.txt").write_text("0,tip\n")
    landmarks(tmp_path / "found")
    found = () if "--hands" in options else ("--hands", tmp_path / "found")
    done = run(videos, "--out", "out", *found, *options)
    assert done.returncode in (1, 2) and not Path("out").exists()
    assert re.search(message, done.stderr + done.stdout)
    assert "Traceback" not in done.stderr


def test_the_sheet_and_verify_draw_skeletons_alone(tmp_path):
    points, valid = files.two_hands(12)
    for name in NAMES:
        (tmp_path / "own" / name).mkdir(parents=True)
        files.holistic(tmp_path / "own" / name, points, valid)
    out = tmp_path / "out"
    done = run(tmp_path / "own", "--out", out, "--fps", 10)
    assert done.returncode == 0, done.stderr
    assert "look at 4 clips" in done.stdout and "left hand left of the" in done.stdout
    sheet = cv2.imread(str(out / "sheet.jpg"))[..., ::-1].astype(int)
    for colour in HAND_COLOURS:
        assert (np.abs(sheet - np.array(colour)).sum(axis=-1) < 60).sum() > 100
    found = ("--data-root", out, "--out", tmp_path / "png", "--num", 2)
    done = run_tool("data/verify", out / "annotation.json", *found)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("skeletons alone") == 2
    assert len(list((tmp_path / "png").glob("*.png"))) == 2


def test_no_hand_anywhere_is_one_line(videos, tmp_path):
    landmarks(tmp_path / "found")
    for path in (tmp_path / "found").rglob("*.npz"):
        np.savez(path, keypoint=np.zeros((12, 2, 21, 3)))
    options = ("--out", tmp_path / "out", "--hands", tmp_path / "found", *HANDS)
    done = run(videos, *options)
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    assert "no hand is seen in any frame of the 6 files" in done.stderr
