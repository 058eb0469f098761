"""Runs of the toy config inside the test's own process, and their comparison."""

import functools
import itertools
from pathlib import Path

import mmengine.config.config
import torch

from mmfusion.engine import FusionRunner
from mmfusion.engine.launch.config_check import load_config
from mmfusion.engine.launch.start import prepare_work_dir
from mmfusion.weights.files import load_checked

CONFIG = Path(__file__).parent / "toy_config.py"
_count = itertools.count()
_format = mmengine.config.config.FormatCode


@functools.cache
def _formatted(text, style):
    return _format(text, style_config=dict(style))


# MMEngine formats the same config four times in each run: a third of a toy run's time
mmengine.config.config.FormatCode = lambda text, style_config: _formatted(
    text, tuple(style_config.items())
)


def toy_config(work_dir, options=None, path=CONFIG):
    """The toy config with dotted ``options`` merged in."""
    config = load_config(path, options)
    config.work_dir = str(work_dir)
    config.launcher = "none"
    config.experiment_name = f"toy{next(_count)}"  # MMEngine shares objects by name
    return config


def run_toy(work_dir, options=None, resume=None):
    """Run of ``tools/train.py``; None where nothing was to be done."""
    config = toy_config(work_dir, options)
    if prepare_work_dir(config, resume):
        return None
    runner = FusionRunner.from_cfg(config)
    runner.train()
    return runner


def signal_at(stage, at):
    """Options that make a run send itself SIGTERM."""
    return {"custom_hooks.2": dict(type="SignalAt", stage=stage, at=at)}


def with_signal(work_dir, stage, at, options=None):
    """A run that is stopped at ``stage``; the hook is no part of its config."""
    config = toy_config(work_dir, options)
    prepare_work_dir(config, None)
    runner = FusionRunner.from_cfg(config)
    runner.register_hook(dict(type="SignalAt", stage=stage, at=at))
    runner.train()
    return runner


def flatten(value, path=""):
    """Every leaf of nested dicts, lists and tuples by its path."""
    if isinstance(value, dict):
        return {
            k: v
            for key in value
            for k, v in flatten(value[key], f"{path}/{key}").items()
        }
    if isinstance(value, list | tuple):
        return {
            k: v
            for i, x in enumerate(value)
            for k, v in flatten(x, f"{path}/{i}").items()
        }
    return {path: value}


STATE = (
    "state_dict",
    "ema_state_dict",
    "optimizer",
    "param_schedulers",
    "rng",
    "hooks",
)


def differences(first, second):
    """Paths at which two checkpoint files differ in what a run's future depends on."""
    a, b = load_checked(first), load_checked(second)
    left = flatten({key: a.get(key) for key in STATE})
    right = flatten({key: b.get(key) for key in STATE})
    for key in ("epoch", "iter", "batch", "val_pending", "stop_training", "seed"):
        left[key], right[key] = a["meta"][key], b["meta"][key]
    left |= flatten(logged(a), "/log")
    right |= flatten(logged(b), "/log")
    assert len(left) > 60
    return sorted(
        path
        for path in left.keys() | right.keys()
        if path not in left or path not in right or not same(left[path], right[path])
    )


def logged(checkpoint):
    """The scalars of the message hub that are no times: losses, rates, metrics."""
    scalars = checkpoint["message_hub"]["scalars"]
    return {key: value for key, value in scalars.items() if "time" not in key}


def same(left, right):
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    return left == right
