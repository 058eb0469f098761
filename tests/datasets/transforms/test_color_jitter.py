import numpy as np
import pytest

from mmfusion.datasets.transforms import ColorJitter


def clip(seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return dict(imgs=[image, image.copy()])


def test_one_draw_for_a_clip():
    np.random.seed(0)
    out = ColorJitter()(clip())["imgs"]
    np.testing.assert_array_equal(out[0], out[1])
    assert out[0].dtype == np.uint8 and (out[0] != clip()["imgs"][0]).any()


def test_nothing_to_change():
    out = ColorJitter(brightness=0, contrast=0, saturation=0, hue=0)(clip())["imgs"]
    np.testing.assert_array_equal(out[0], clip()["imgs"][0])


@pytest.mark.parametrize("seed", range(4))
def test_hue_keeps_value_and_turns_both_ways(seed):
    np.random.seed(seed)
    jitter = ColorJitter(brightness=0, contrast=0, saturation=0, hue=0.5)
    before, after = clip()["imgs"][0].astype(int), jitter(clip())["imgs"][0].astype(int)
    np.testing.assert_allclose(after.max(-1), before.max(-1), atol=1)
    np.testing.assert_allclose(after.min(-1), before.min(-1), atol=1)


def test_red_turned_by_a_third_is_green(monkeypatch):
    monkeypatch.setattr(np.random, "uniform", lambda low, high: high * 2 / 3)
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 200
    jitter = ColorJitter(brightness=0, contrast=0, saturation=0, hue=0.5)
    out = jitter(dict(imgs=[red]))["imgs"][0]
    np.testing.assert_allclose(out[0, 0], (0, 200, 0), atol=1)


@pytest.mark.parametrize("options", [dict(hue=0.6), dict(contrast=-0.1)])
def test_wrong_options(options):
    with pytest.raises(ValueError, match="expected 0 to"):
        ColorJitter(**options)
