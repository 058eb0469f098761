"""Two configs are of one run if they differ only in what changes no result."""

import json

import pytest

from mmfusion.engine.launch.config_compare import comparable_config, config_difference
from tests.engine.toy_runs import toy_config


def test_comparison_ignores_what_changes_nothing(tmp_path):
    first = comparable_config(toy_config(tmp_path / "a"))
    second = comparable_config(
        toy_config(tmp_path / "b", {"train_dataloader.num_workers": 2, "resume": True})
    )
    assert config_difference(first, second) == ""
    third = toy_config(tmp_path, {"model.drop_rate": 0.25})
    assert config_difference(first, comparable_config(third)) == (
        "  model.drop_rate: was 'not set', is 0.25"
    )
    assert json.loads(json.dumps(first)) == first


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_threads", 2), ("flush_denormals", True), ("cudnn_benchmark", True)],
)
def test_what_changes_the_last_digit_is_another_run(key, value, tmp_path):
    first = comparable_config(toy_config(tmp_path))
    other = comparable_config(toy_config(tmp_path, {f"env_cfg.{key}": value}))
    assert f"env_cfg.{key}: was 'not set', is {value}" in config_difference(
        first, other
    )
    free = {"env_cfg.tune_cpu_allocator": True, "env_cfg.mp_cfg.opencv_num_threads": 1}
    assert comparable_config(toy_config(tmp_path, free)) == first
