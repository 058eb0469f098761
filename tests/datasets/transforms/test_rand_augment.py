"""RandAugment against small formulae, and repeats of a pipeline."""

import random

import numpy as np
import pytest

from mmfusion.datasets.transforms import RandAugment, RepeatAugment
from mmfusion.datasets.transforms.rand_augment import OPERATIONS


def frames(count=2):
    rows = np.arange(24)[:, None, None] * 7
    columns = np.arange(32)[None, :, None] * 5
    picture = (rows + columns + np.array([0, 80, 160])) % 256
    return [picture.astype(np.uint8) for _ in range(count)]


def only(name, monkeypatch, level=10.0, sign=1.0):
    """RandAugment of one change, at a fixed level and sign."""
    change = OPERATIONS[name]
    monkeypatch.setattr(
        "mmfusion.datasets.transforms.rand_augment.OPERATIONS", {name: change}
    )
    draws = iter([0.0, 1.0 if sign < 0 else 0.0])
    monkeypatch.setattr(random, "random", lambda: next(draws))
    return RandAugment(magnitude=level, num_ops=1, magnitude_std=0)


@pytest.mark.parametrize(
    ("name", "level", "expected"),
    [
        ("invert", 0, lambda x: 255 - x),
        ("posterize", 10, lambda x: x * 0),
        ("posterize", 5, lambda x: x & 0xC0),  # 2 bits stay
        ("posterize", 2, lambda x: x & 0xF0),
        ("solarize", 10, lambda x: 255 - x),
        ("solarize", 5, lambda x: np.where(x < 128, x, 255 - x)),
        ("solarize_add", 10, lambda x: np.where(x < 128, np.minimum(x + 110, 255), x)),
        ("brightness", 0, lambda x: x),
    ],
)
def test_changes_of_values(name, level, expected, monkeypatch):
    before = frames()[0].astype(int)
    out = only(name, monkeypatch, level)(dict(imgs=frames()))["imgs"]
    for image in out:
        np.testing.assert_array_equal(image, expected(before))


def test_a_whole_shift_fills_with_grey(monkeypatch):
    out = only("translate_x", monkeypatch, 10 / 3.6)(dict(imgs=frames()))["imgs"][0]
    np.testing.assert_array_equal(out[:, :-4], frames()[0][:, 4:])  # 12.5 % of 32
    assert (out[:, -4:] == 128).all()


def test_brightness_goes_both_ways(monkeypatch):
    darker = only("brightness", monkeypatch, 5, sign=-1)(dict(imgs=frames()))["imgs"]
    expected = frames()[0] * 0.55
    assert np.abs(darker[0] - expected).max() <= 1


def test_draws_are_timms(monkeypatch):
    """Of seeds 0 to 2, as timm 0.4.12 draws them for rand-m7-n4-mstd0.5-inc1."""
    seen = []

    def recorder(name):
        return lambda image, amount, fill: (seen.append((name, amount)), image)[1]

    for name in OPERATIONS:
        monkeypatch.setitem(OPERATIONS, name, recorder(name))
    for seed in range(3):
        random.seed(seed)
        np.random.seed(seed)
        RandAugment(magnitude=7, num_ops=4, magnitude_std=0.5)(dict(imgs=frames(1)))
    assert seen == [
        ("auto_contrast", 0.0),
        ("rotate", pytest.approx(-22.7921, abs=1e-4)),
        ("solarize", 65),
        ("shear_x", pytest.approx(0.1891, abs=1e-4)),
        ("shear_y", pytest.approx(0.1947, abs=1e-4)),
        ("contrast", pytest.approx(0.4347, abs=1e-4)),
        ("contrast", pytest.approx(0.2964, abs=1e-4)),
    ]


def test_all_frames_of_a_clip_change_alike():
    changed = 0
    for seed in range(10):
        random.seed(seed)
        np.random.seed(seed)
        out = RandAugment()(dict(imgs=frames()))["imgs"]
        np.testing.assert_array_equal(out[0], out[1])
        assert out[0].flags.writeable and out[0].dtype == np.uint8
        changed += bool((out[0] != frames()[0]).any())
    assert changed > 5


def test_boxes_are_refused():
    with pytest.raises(ValueError, match="the sample has 'boxes'"):
        RandAugment()(dict(imgs=frames(), boxes=np.zeros((1, 2, 1, 4))))
    with pytest.raises(ValueError, match="the sample has 'joints'"):
        RepeatAugment(2, [])(dict(imgs=frames(), num_clips=1, joints=np.zeros(3)))
    with pytest.raises(ValueError, match="magnitude_std -1"):
        RandAugment(magnitude_std=-1)


def test_repeats_see_the_same_frames_anew():
    clip = dict(imgs=frames(3), num_clips=1, clip_len=3, img_shape=(24, 32))
    before = [image.copy() for image in clip["imgs"]]
    steps = [
        dict(type="mmaction.RandomResizedCrop"),
        dict(type="mmaction.Resize", scale=(16, 16), keep_ratio=False),
        dict(
            type="mmaction.RandomErasing",
            erase_prob=1.0,
            mode="rand",
            fill_color=(124, 116, 104),
            fill_std=(58, 57, 57),
        ),
    ]
    np.random.seed(0)
    random.seed(0)
    out = RepeatAugment(2, steps)(dict(clip))
    assert out["num_clips"] == 2 and out["clip_len"] == 3
    assert [image.shape for image in out["imgs"]] == [(16, 16, 3)] * 6
    assert (out["imgs"][0] != out["imgs"][3]).any()
    for image, kept in zip(clip["imgs"], before, strict=True):
        np.testing.assert_array_equal(image, kept)
    with pytest.raises(ValueError, match="num_repeats: got 0"):
        RepeatAugment(0, [])
