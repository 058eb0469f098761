"""Two configs are of one run if they differ only in what changes no result."""

import json

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
