"""An error of building is told with the key of the config that caused it."""

import pytest

from mmfusion.engine import FusionRunner
from mmfusion.engine.launch.build_errors import explain_build_error
from tests.engine.toy_runs import toy_config


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model.drop": 1}, "config key model.drop: ToyModel has no argument 'drop'; "),
        (
            {"model.type": "ToyModell"},
            "model.type: no model named 'ToyModell'; nearest:",
        ),
        (
            {"custom_hooks.1.patiense": 3},
            "custom_hooks.1.patiense: EarlyStopHook has no argument",
        ),
        (
            {"train_dataloader.dataset.siez": 3},
            "train_dataloader.dataset.siez: ToyDataset has no argument 'siez'",
        ),
        (
            {"train_dataloader.num_worker": 3},
            "train_dataloader.num_worker: DataLoader has no argument 'num_worker'",
        ),
        (
            {"param_scheduler.0.strat": 3},
            "LinearParamScheduler has no argument 'strat'",
        ),
        (
            {"custom_hooks": [{"patience": 3}]},
            "custom_hooks.0: it lacks 'type', got {'patience': 3}",
        ),
    ],
    ids=["argument", "type", "hook", "dataset", "loader", "base class", "no type"],
)
def test_build_errors_name_the_key_path(options, said, tmp_path):
    config = toy_config(tmp_path, options)
    with pytest.raises((TypeError, KeyError)) as error:
        FusionRunner.from_cfg(config).train()
    assert said in (explain_build_error(config, error.value) or str(error.value))
