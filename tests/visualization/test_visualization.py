import numpy as np
import pytest

from mmfusion.datasets.media.video_io import open_video
from mmfusion.visualization import (
    draw_hands,
    render_prediction_clip,
    write_clip_video,
)
from mmfusion.visualization.hands import HAND_COLOURS


def hand_points(num=2):
    angle = np.linspace(0, 2 * np.pi, 21, endpoint=False)
    ring = 15 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.stack([ring + (30 + 60 * hand, 40) for hand in range(num)])  # (h, 21, 2)


def test_two_hands_in_two_colours():
    image = np.zeros((80, 120, 3), np.uint8)
    out = draw_hands(image, hand_points(), np.array([True, True]))
    assert out.shape == image.shape and not image.any()
    for half, colour in zip((out[:, :60], out[:, 60:]), HAND_COLOURS, strict=True):
        assert (half == colour).all(axis=-1).any()


def test_unseen_and_far_joints_are_not_drawn():
    image = np.zeros((80, 120, 3), np.uint8)
    assert not draw_hands(image, hand_points(), np.array([False, False])).any()
    far = hand_points() * 1e8
    far[1, 3] = np.nan
    assert not draw_hands(image, far, np.array([True, True])).any()
    mask = np.zeros((2, 21), bool)
    mask[1] = True
    out = draw_hands(image, hand_points(), mask)
    assert not out[:, :60].any() and out[:, 60:].any()


def test_wrong_shapes():
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match=r"\(h, 21, 2\)"):
        draw_hands(image, np.zeros((2, 20, 2)), np.ones(2, bool))
    with pytest.raises(ValueError, match="valid"):
        draw_hands(image, hand_points(), np.ones(3, bool))


def test_video_round_trip(tmp_path):
    frames = [np.full((64, 96, 3), 20 * number, np.uint8) for number in range(10)]
    write_clip_video(tmp_path / "sub/clip.mp4", frames, fps=12.5)
    reader = open_video(tmp_path / "sub/clip.mp4")
    assert (reader.num_frames, reader.width, reader.height) == (10, 96, 64)
    assert reader.fps == pytest.approx(12.5)
    values = [float(frame.mean()) for frame in reader.frames_at_index(range(10))]
    np.testing.assert_allclose(values, 20 * np.arange(10), atol=3)
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["clip.mp4"]


def test_odd_sizes_lose_one_line(tmp_path):
    write_clip_video(tmp_path / "a.mp4", [np.zeros((33, 47, 3), np.uint8)] * 2, fps=5)
    reader = open_video(tmp_path / "a.mp4")
    assert (reader.width, reader.height) == (46, 32)


def test_failed_video_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="of one shape"):
        write_clip_video(tmp_path / "a.mp4", [], fps=5)
    with pytest.raises(ValueError):
        write_clip_video(tmp_path / "a.mp4", [np.zeros((8, 8), np.uint8)], fps=5)
    assert not list(tmp_path.iterdir())


def test_prediction_clip():
    frames = [np.zeros((80, 120, 3), np.uint8)] * 3
    joints = np.stack([hand_points()] * 3)
    top5 = [("open the green bottle", 0.6), ("grab", 0.3), ("naïve", 0.05)]
    out = render_prediction_clip(frames, joints, np.ones((3, 2), bool), top5, "grab")
    assert len(out) == 3 and len({frame.shape for frame in out}) == 1
    height, width = out[0].shape[:2]
    assert height >= 240 and height % 2 == width % 2 == 0
    assert width > 120 * (height // 80)  # the panel stands beside the frame
    bare = render_prediction_clip(frames, None, None, top5[:1], None)
    assert not bare[0][:, : 120 * 3].any()
