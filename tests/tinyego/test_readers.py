"""The real readers take TinyEgo for what it pretends to be, and twins stay twins."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.transforms import (
    AlignBoxes,
    DecodeVideo,
    LoadBoxes,
    LoadSkeleton,
    NormalizeSkeleton,
    PackInputs,
    SampleTimes,
    TokenizeQuestions,
)
from mmfusion.layouts import h2o
from mmfusion.tinyego import ClipContent, ceilings
from mmfusion.tinyego.actions import ACTIONS
from mmfusion.tinyego.kitchen import FPS
from mmfusion.tinyego.motion import LENS

TOOLS = Path(__file__).resolve().parents[2] / "tools"
PIPELINE = [
    dict(type=SampleTimes, num_frames=dict(video=8, skeleton=16), mode="uniform"),
    dict(type=DecodeVideo),
    dict(type=LoadSkeleton),
    dict(type="mmaction.Resize", scale=(48, 48), keep_ratio=False),
    dict(type=NormalizeSkeleton, mode="wrist"),
    dict(type=PackInputs, streams=("video", "skeleton")),
]


def _prepare(root: Path, dataset: str, *more: str) -> None:
    command = [sys.executable, str(TOOLS / "data" / dataset / "prepare.py")]
    subprocess.run(
        [*command, "--root", str(root), *more], check=True, capture_output=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["h2o", "oakink2"])
def test_twins_are_equal_as_a_model_receives_them(
    layout: str, request: pytest.FixtureRequest
) -> None:
    root: Path = request.getfixturevalue(f"{layout}_root")
    more = ["--joints", str(root / "joints")] if layout == "oakink2" else []
    _prepare(root, layout, *more)
    dataset = MultiModalDataset(
        "mmfusion/annotation.json",
        PIPELINE,
        data_root=str(root),
        split="val",
        test_mode=True,
    )
    names = [name.replace("_", " ") for name in dataset.metainfo["classes"]["action"]]
    number_of = {action.name: action.index for action in ACTIONS}
    contents = []
    for index in range(len(dataset)):
        sample = dataset[index]
        inputs = sample["inputs"]
        hands = inputs["skeleton"].numpy().tobytes()
        contents.append(
            ClipContent(
                action=number_of[names[int(sample["data_samples"].gt_action)]],
                video=inputs["video"].numpy().tobytes(),
                skeleton=(hands, inputs["skeleton_mask"].numpy().tobytes()),
            )
        )
    assert ceilings(contents)["action"] == {
        "video": 75.0,
        "skeleton": pytest.approx(100 / 3),
        "both": 100.0,
    }


def test_h2o_files_say_what_they_should(h2o_root: Path) -> None:
    clips = h2o.read_action_file(h2o.find_action_file(h2o_root, "val"))
    sequence = h2o.scan_sequence(h2o_root, clips[0].sequence)
    assert len(clips) == 12
    assert sequence.last_id == clips[0].last_frame == clips[-1].end
    assert sequence.camera is not None and sequence.camera["height"] == 54
    labels = h2o_root / "subject3_ego/h1/0/cam4/action_label"
    for clip in clips:
        for frame, inside in ((clip.start - 1, False), (clip.end, True)):
            label = int((labels / f"{frame:06d}.txt").read_text())
            assert label == (clip.action + 1 if inside else 0)


def test_h2o_test_labels_are_hidden(h2o_root: Path) -> None:
    hidden = h2o.read_action_file(h2o.find_action_file(h2o_root, "test"))
    folder = h2o_root / "label_split"
    known = h2o.read_action_file(folder / "action_test_labelled.txt")
    assert {clip.action for clip in hidden} == {None}
    assert [clip.row for clip in hidden] == [clip.row for clip in known]
    assert not list(h2o_root.glob("subject4_ego/*/*/cam4/action_label"))


def _kitchen(root: Path, *, split: str, source: str) -> MultiModalDataset:
    pipeline = [
        dict(type=SampleTimes, num_frames=dict(video=4, skeleton=8), mode="uniform"),
        dict(type=DecodeVideo),
        dict(type=LoadSkeleton),
        dict(type=LoadBoxes),
        dict(type="mmaction.Resize", scale=(48, 48), keep_ratio=False),
        dict(type=AlignBoxes),
        dict(type=TokenizeQuestions, tokenizer=str(root / "tokenizer")),
        dict(
            type=PackInputs,
            streams=("video", "skeleton", "boxes", "text"),
            meta_keys=("video_id", "participant_id", "question_source"),
        ),
    ]
    _prepare(root, "ek100")
    return MultiModalDataset(
        "mmfusion/annotation.json",
        pipeline,
        data_root=str(root),
        split=split,
        questions=f"questions/{source}_validation.jsonl",
        test_mode=True,
    )


def test_the_kitchen_gives_every_stream(ek100_root: Path, tmp_path: Path) -> None:
    root = shutil.copytree(ek100_root, tmp_path / "ek100")
    dataset = _kitchen(root, split="val", source="informative")
    assert len(dataset) == 12
    for index in range(len(dataset)):
        sample = dataset[index]
        shapes = {key: tuple(value.shape) for key, value in sample["inputs"].items()}
        assert shapes == {
            "video": (1, 3, 4, 48, 48),
            "skeleton": (1, 8, 42, 3),
            "skeleton_mask": (1, 8, 42),
            "boxes": (1, 4, 3, 4),
            "boxes_mask": (1, 4, 3),
            "text": (1, 2, 40),
            "text_mask": (1, 2, 40),
        }
        assert sample["inputs"]["boxes_mask"][..., 2].all()  # the object is in view
        found = sample["data_samples"]
        assert found.metainfo["question_source"] == "informative"
        pair = dataset.metainfo["action_pairs"][int(found.gt_action)]
        assert pair == [int(found.gt_verb), int(found.gt_noun)]


def test_hands_lie_in_their_boxes(ek100_root: Path) -> None:
    """Skeletons, boxes and films agree in time, at 60 and at 50 frame numbers."""
    for film in sorted((ek100_root / "skeleton").glob("*.npz")):
        with np.load(film) as hands, np.load(ek100_root / "boxes" / film.name) as boxes:
            step = float(hands["fps"]) / FPS
            assert np.array_equal(hands["frame_id"] // step, boxes["frame_id"])
            joints, valid = hands["keypoint"], hands["valid"]
            corners = boxes["boxes"][:, :2]  # (t, 2, 4)
        pixels = LENS.project(joints[valid]) / (LENS.width, LENS.height)  # (n, 21, 2)
        low, high = corners[valid][:, None, :2], corners[valid][:, None, 2:]
        seen = np.clip(pixels, 0, 1)
        assert ((seen >= low - 0.03) & (seen <= high + 0.03)).all()  # sensor noise
