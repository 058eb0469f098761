"""Whole pipelines, with MMAction2's image transforms in between, and PackInputs."""

import random

import numpy as np
import pytest
import torch

from mmfusion.datasets.transforms import DecodeVideo, PackInputs
from mmfusion.registry import TRANSFORMS
from tests.datasets.transforms.helpers import META, results, skeleton
from tests.video_files import number_of, write_frames, write_video


def run(steps, start):
    for step in steps:
        start = TRANSFORMS.build(dict(step))(start)
    return start


def steps(*image, mode="uniform", views=1, **decode):
    counts = dict(video=4, skeleton=6)
    return [
        dict(type="SampleTimes", num_frames=counts, mode=mode, num_views=views),
        dict(type="DecodeVideo", **decode),
        dict(type="LoadSkeleton", optional=True),
        *image,
        dict(type="AlignSkeleton"),
        dict(type="NormalizeSkeleton", mode="none"),
        dict(type="PackInputs"),
    ]


TRAIN = (
    dict(type="mmaction.Resize", scale=(-1, 72)),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.4, 1.0)),
    dict(type="mmaction.Resize", scale=(32, 32), keep_ratio=False),
    dict(type="mmaction.Flip", flip_ratio=0.5),
    dict(type="ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    dict(type="mmaction.ColorJitter", hue=0.0),
)
TEST = (
    dict(type="mmaction.Resize", scale=(-1, 48)),
    dict(type="mmaction.CenterCrop", crop_size=32),
)


@pytest.fixture
def start(tmp_path):
    path = str(write_video(tmp_path / "a.mp4", num_frames=30))
    return results(video_path=path, frame_dir_path=None)


@pytest.mark.parametrize("image", [TRAIN, TEST], ids=["train", "test"])
@pytest.mark.parametrize("views", [1, 3])
def test_shapes(start, image, views):
    packed = run(steps(*image, views=views), start)
    inputs, sample = packed["inputs"], packed["data_samples"]
    assert inputs["video"].shape == (views, 3, 4, 32, 32)
    assert inputs["video"].dtype == torch.uint8
    assert inputs["skeleton"].shape == (views, 6, 42, 3)
    assert inputs["skeleton"].dtype == torch.float32
    assert inputs["skeleton_mask"].shape == (views, 6, 42)
    assert inputs["skeleton_mask"].dtype == torch.bool
    assert set(inputs) == {"video", "skeleton", "skeleton_mask"}
    assert sample.gt_action == 3 and sample.gt_action.dtype == torch.int64
    assert sample.sample_id == "a#0"


def test_streams_meet_in_time(start):
    packed = run(steps(views=2), start)["inputs"]
    # the video of frame f shows f, and the joints' x is f
    video = packed["video"].permute(0, 2, 3, 4, 1).numpy()
    numbers = [[number_of(frame) for frame in view] for view in video]
    assert numbers == [[1, 9, 16, 24], [5, 13, 20, 28]]
    # six centres on the warp whose knots are the video's times, by hand
    assert packed["skeleton"][0, :, 0, 0].tolist() == [1, 5, 10, 15, 20, 26]


def test_flip_mirrors_pictures_and_hands(start):
    always = dict(type="mmaction.Flip", flip_ratio=1.0)
    data = skeleton()
    data["valid"][:, 1] = False
    plain = run(steps(), {**start, "skeleton_data": data})["inputs"]
    flipped = run(steps(always), {**start, "skeleton_data": data})["inputs"]
    assert torch.equal(flipped["video"], plain["video"].flip(-1))
    right = flipped["skeleton"][..., 21:, :]
    expected = plain["skeleton"][..., :21, :] * torch.tensor([-1.0, 1, 1])
    assert torch.equal(right, expected)
    assert not flipped["skeleton_mask"][..., :21].any()


def test_same_seed_same_sample(start):
    packed = []
    for _ in range(2):
        np.random.seed(3)
        random.seed(3)
        packed.append(run(steps(*TRAIN, mode="random"), dict(start))["inputs"])
    for name, value in packed[0].items():
        assert torch.equal(value, packed[1][name])


def test_missing_streams_become_zeros_and_mask(start):
    lacking = {**start, "video_path": None, "skeleton_data": None}
    packed = run(steps(*TRAIN, missing_size=(48, 64)), lacking)["inputs"]
    assert packed["video"].shape == (1, 3, 4, 32, 32) and not packed["video"].any()
    assert packed["video_mask"].shape == (1, 4) and not packed["video_mask"].any()
    assert not packed["skeleton"].any() and not packed["skeleton_mask"].any()
    present = run(steps(*TRAIN, missing_size=(48, 64)), start)["inputs"]
    assert present["video_mask"].all() and set(present) == set(packed)
    with pytest.raises(ValueError, match="has no video"):
        run(steps(), lacking)


def test_frame_folder(tmp_path):
    folder = str(write_frames(tmp_path / "a", range(30), "{:06d}.png"))
    start = results(
        video_path=None,
        frame_dir_path=folder,
        filename_tmpl="{:06d}.png",
        start_index=0,
        total_frames=30,
    )
    video = run(steps(), start)["inputs"]["video"][0].permute(1, 2, 3, 0).numpy()
    assert [number_of(frame) for frame in video] == [3, 11, 18, 26]


def test_several_crops_share_the_skeleton(start):
    crops = (
        dict(type="mmaction.Resize", scale=(-1, 48)),
        dict(type="mmaction.ThreeCrop", crop_size=48),
    )
    packed = run(steps(*crops, views=2), start)["inputs"]
    assert packed["video"].shape[0] == packed["skeleton"].shape[0] == 6
    assert torch.equal(packed["skeleton"][:2], packed["skeleton"][4:])


def test_other_streams_are_packed_as_they_are():
    pack = PackInputs(streams=["gaze", "text"], meta_keys=["group"])
    gaze, text = np.zeros((2, 8, 2), np.float32), torch.ones(1, 5, dtype=torch.long)
    packed = pack(results(gaze=gaze, gaze_mask=np.ones((2, 8), bool), tokens=text))
    assert packed["inputs"]["gaze"].shape == (2, 8, 2)
    assert packed["inputs"]["gaze_mask"].dtype == torch.bool
    assert packed["inputs"]["text"].shape == (1, 5)
    assert packed["data_samples"].group == "a"


def test_what_a_sample_has_of_its_origin_goes_on_without_being_named():
    text = torch.ones(1, 2, 5, dtype=torch.long)
    extra = dict(video_id="P01_01", chunk_seconds=15.0)
    packed = PackInputs(["text"])(results(tokens=text, extra=extra, tau_a=1.0))
    meta = packed["data_samples"].metainfo
    assert meta == dict(sample_id=meta["sample_id"], video_id="P01_01", tau_a=1.0)


@pytest.mark.parametrize(
    ("streams", "changes", "message"),
    [
        (["video"], {}, "expected DecodeVideo before"),
        (["skeleton"], {}, "expected LoadSkeleton before"),
        (["text"], {"text": {"narration": "a"}}, "expected TokenizeQuestions before"),
        (["gaze"], {}, "'gaze' is NoneType"),
    ],
)
def test_pack_says_what_is_missing(streams, changes, message):
    with pytest.raises(ValueError, match=message):
        PackInputs(streams)(results(**changes))


def test_wrong_options():
    with pytest.raises(ValueError, match="streams"):
        PackInputs("video")
    with pytest.raises(ValueError, match="backend"):
        DecodeVideo(backend="opencv")
    with pytest.raises(ValueError, match="add it to"):
        DecodeVideo()(results())
    assert META["skeleton"]["frame"] == "camera"
