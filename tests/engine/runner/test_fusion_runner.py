"""Loops that a run of ours cannot have, and runners that our loop cannot have."""

import pytest
from mmengine.runner import Runner

from mmfusion.engine import FusionRunner
from mmfusion.utils.errors import ConfigError
from tests.engine.toy_runs import toy_config


def test_a_loop_by_iterations_is_refused_by_name(tmp_path):
    config = toy_config(tmp_path)
    config.train_cfg = dict(by_epoch=False, max_iters=10, val_interval=10)
    with pytest.raises(ConfigError, match=r"IterBasedTrainLoop.*ResumableTrainLoop"):
        FusionRunner.from_cfg(config).train()


def test_mmengines_own_runner_is_refused_by_our_loop(tmp_path):
    config = toy_config(tmp_path)
    config.train_dataloader.collate_fn = dict(type="pseudo_collate")
    with pytest.raises(ConfigError, match="FusionRunner.from_cfg"):
        Runner.from_cfg(config).train()
