"""Loops that a run of ours cannot have, and runners that our loop cannot have."""

import copy

import pytest
import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner

from mmfusion.engine import FusionRunner
from mmfusion.utils.errors import ConfigError, TrainingStopped
from mmfusion.weights import PublishedWeights
from tests.engine.toy import ToyModel
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


def test_an_average_starts_from_published_weights_too(tmp_path, monkeypatch):
    """MMEngine's hook looked for the file's own names, and kept its random start."""
    table = PublishedWeights(marker=r"^visual\.", renames=((r"^visual\.", ""),))
    monkeypatch.setattr(ToyModel, "published_weights", table, raising=False)
    state = {key: value + 1 for key, value in ToyModel().state_dict().items()}
    torch.save({f"visual.{k}": v for k, v in state.items()}, tmp_path / "theirs.pth")
    config = toy_config(tmp_path / "run", {"load_from": str(tmp_path / "theirs.pth")})
    runner = FusionRunner.from_cfg(config)
    average = next(hook for hook in runner.hooks if isinstance(hook, EMAHook))
    seen = {}

    class Look(Hook):
        def before_train(self, runner):
            seen.update(copy.deepcopy(average.ema_model.module.state_dict()))
            raise TrainingStopped

    runner.register_hook(Look())
    with pytest.raises(TrainingStopped):
        runner.train()
    torch.testing.assert_close(seen, dict(state))


def test_runs_that_begin_in_one_second_have_logs_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("mmengine.runner.runner.time.time", lambda: 1.7e9)
    runners = []
    for name in ("a", "b"):
        config = toy_config(tmp_path / name)
        config.experiment_name = "one name"
        runners.append(FusionRunner.from_cfg(config))
    assert len({id(runner.logger) for runner in runners}) == 2
