"""Real video through the real pipeline, with both decoders (data beside the repo)."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import torch

from mmfusion.datasets.media.video_io import open_frames, open_video
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import VideoDecodeError

SIGNS = ("ambulancia", "doctor", "dolor", "hoy", "yo")
CLIPS = (
    *(f"hands_msl150/videos/{sign}_001.mp4" for sign in SIGNS),
    "videos/mmaction2/demo_demo.mp4",
    "videos/mmaction2/tests_data_test.mp4",
    "videos/mmaction2/tests_data_test.avi",
    "videos/mmaction2/tests_data_rawvideo_dataset_part_0.mp4",
    "videos/mmaction2/tests_data_rawvideo_dataset_part_1.mp4",
    "videos/mmaction2/demo_test_video_structuralize.mp4",
    "videos/mmaction2/demo_demo_spatiotemporal_det.mp4",
    "videos/mmaction2/demo_demo_skeleton.mp4",
    "videos/decord/flipping_a_pancake.mkv",
    "videos/decord/video_0.mov",
    "videos/decord/video_180.mov",
)
STEPS = [
    dict(type="SampleTimes", num_frames=dict(video=4, skeleton=16), mode="uniform"),
    dict(type="DecodeVideo"),
    dict(type="LoadSkeleton"),
    dict(type="mmaction.Resize", scale=(-1, 64)),
    dict(type="mmaction.CenterCrop", crop_size=64),
    dict(type="mmaction.Flip", flip_ratio=1.0),
    dict(type="AlignSkeleton"),
    dict(type="NormalizeSkeleton"),
    dict(type="PackInputs"),
]


def as_shown(aspect: Fraction | None, frame: av.VideoFrame) -> np.ndarray:
    """(h, w, 3) with square pixels, upright."""
    image = frame.to_ndarray(format="rgb24")
    height, width = image.shape[:2]
    if aspect and aspect > 1:
        image = cv2.resize(image, (round(width * aspect), height))
    return np.rot90(image, frame.rotation // 90)


@pytest.mark.parametrize("clip", CLIPS)
def test_backends_give_the_frames_of_a_plain_reading(shared_data, clip):
    path = shared_data / clip
    readers = [open_video(path, backend) for backend in ("decord", "pyav")]
    # the signs' second keyframe is frame 16; decord has to read them from the start
    last = 20 if clip.startswith("hands_") else readers[0].num_frames - 1
    index = np.unique(np.linspace(0, last, 4).astype(int))
    by_decord, by_pyav = (reader.frames_at_index(index) for reader in readers)
    np.testing.assert_array_equal(by_decord, by_pyav)
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in index[:3]:
                plain = as_shown(container.streams.video[0].sample_aspect_ratio, frame)
                place = index.tolist().index(number)
                np.testing.assert_array_equal(by_pyav[place], plain)
            if number > index[2]:
                break


def test_counts_and_rates(shared_data):
    pancake = open_video(shared_data / "videos/decord/flipping_a_pancake.mkv")
    assert pancake.num_frames == 310 and pancake.fps == pytest.approx(30, abs=0.1)
    yo = open_video(shared_data / "hands_msl150/videos/yo_001.mp4")
    assert yo.num_frames == 55 and yo.fps == pytest.approx(29.97, abs=0.01)
    det = open_video(shared_data / "videos/mmaction2/demo_demo_spatiotemporal_det.mp4")
    assert det.fps == pytest.approx(6)


@pytest.mark.parametrize("backend", ["auto", "decord", "pyav"])
def test_corrupted_video_is_named(shared_data, backend):
    reader = open_video(shared_data / "videos/decord/corrupted.mp4", backend)
    assert reader.num_frames == 50
    try:
        assert len(reader.frames_at_index([0, 27])) == 2
    except VideoDecodeError as error:
        # by chance its thread has read ahead, into what is broken
        assert backend == "decord" and "with decord: " in str(error)
    with pytest.raises(VideoDecodeError, match=r"corrupted\.mp4.* with "):
        reader.frames_at(np.linspace(0, reader.duration, 8))


def test_raw_frames(shared_data):
    reader = open_frames(shared_data / "videos/mmaction2/rawframes_imgs", fps=10)
    assert reader.num_frames == 10
    assert reader.frames_at(np.array([0.0, 0.95]))[1].shape == (240, 320, 3)


@pytest.mark.parametrize("sign", SIGNS)
def test_signs_with_their_hands(shared_data, sign):
    hands = np.load(shared_data / "hands_msl150/msl150_sample.npz")
    label = hands["class_names"].tolist().index(sign)
    start = hands["start"][np.flatnonzero(hands["label"] == label)[0]]
    path = str(shared_data / f"hands_msl150/videos/{sign}_001.mp4")
    duration = open_video(path).duration
    rows = slice(start, start + 30)
    meta = dict(layout="mediapipe", hands=["left", "right"], frame="image")
    sample = dict(
        sample_id=sign,
        video_path=path,
        start_sec=0.0,
        end_sec=duration,
        index_fps=30 / duration,
        skeleton_data={name: hands[name][rows] for name in ("keypoint", "valid")},
        ann_meta=dict(skeleton=meta),
        label=dict(action=label),
    )
    for step in STEPS:
        sample = TRANSFORMS.build(step)(sample)
    inputs = sample["inputs"]
    assert inputs["video"].shape == (1, 3, 4, 64, 64)
    assert inputs["skeleton"].shape == (1, 16, 42, 3)
    seen = inputs["skeleton_mask"]
    assert seen.any() and torch.isfinite(inputs["skeleton"]).all()
    assert not inputs["skeleton"][~seen].any()
