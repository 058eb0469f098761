import pytest
from mmengine.config import Config

from mmfusion.analysis.learning_rates import follow, titles_of
from mmfusion.engine.launch.config_check import load_config
from tests.analysis.fusion_config import CONFIGS, write_config


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    return load_config(write_config(folder, "mambavl_100e"))


@pytest.fixture(scope="module")
def groups(config):
    return follow(config, steps=10)


def test_each_group_warms_up_to_its_own_peak(groups):
    assert {round(group.peak, 9) for group in groups} == {3e-3, 1e-3}
    for group in groups:
        rates, peak = group.rates, group.peak
        assert len(rates) == 1000
        assert rates[0] == pytest.approx(peak * 1e-3)
        assert rates.index(peak) in (19, 20)  # after two epochs
        assert rates[:20] == sorted(rates[:20])
        assert rates[20:] == sorted(rates[20:], reverse=True)
        assert peak * 1e-2 < rates[-1] < peak * 1.01e-2


def test_all_groups_follow_one_curve(groups):
    base = next(group for group in groups if group.peak == pytest.approx(1e-3))
    for group in groups:
        ratio = group.peak / base.peak
        assert group.rates == pytest.approx([ratio * x for x in base.rates])


def test_the_fusion_has_three_times_the_rate_and_no_decay_where_none_belongs(groups):
    for group in groups:
        for name in group.names:
            assert (group.peak == pytest.approx(3e-3)) == name.startswith("neck.")
            last = name.rsplit(".", 1)[-1]
            matrix = last == "weight" and "norm" not in name
            assert group.weight_decay == (4e-5 if matrix else 0.0), name
    names = [name for group in groups for name in group.names]
    assert "neck.layers.0.A_log" in names and len(set(names)) == len(names)
    assert not [name for name in names if name.startswith("encoders.text")]  # frozen


def test_rates_are_scaled_with_the_batch(config):
    groups = follow(config, steps=2, scale=0.5)
    assert groups[0].peak == pytest.approx(1.5e-3)


def test_the_anticipation_recipe_steps_down_twice(tmp_path):
    path = write_config(tmp_path, "mambavl_anticipation_50e")
    groups = follow(load_config(path), steps=1)
    parts = {
        name.split(".")[1 if name.startswith("encoders") else 0]: group
        for group in groups
        for name in group.names
    }
    peaks = {part: group.rates[0] for part, group in parts.items()}
    assert peaks == pytest.approx(dict(video=1e-5, neck=2e-4, heads=2e-5))
    for group in groups:
        first = group.rates[0]
        expected = [first] * 19 + [first / 10] * 21 + [first / 100] * 10
        assert group.rates == pytest.approx(expected)


def test_layers_of_several_rates_are_named():
    config = load_config(CONFIGS / "recognition/video_mamba_tiny_ssv2.py")
    groups = follow(config, steps=1)
    assert any("patch_embed" in title for title in titles_of(groups))


def test_a_config_that_trains_nothing_is_refused():
    with pytest.raises(Exception, match="no train_cfg"):
        follow(Config(dict(optim_wrapper=dict(type="x"))))
