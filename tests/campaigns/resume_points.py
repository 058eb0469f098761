"""A run that is stopped anywhere, once or twice, equals the run that nobody stopped.

Each trial takes one variant of the toy config (workers, accumulation, bf16, an EMA or
none, rare checkpoints or rare validations) and stops it at one point: the first step,
within an epoch, within a group of accumulated steps, at an epoch's end, in a
validation, after one, after the last one, or by SIGKILL right after a save. Every
second trial stops the continued run once more. The same command must then end with the
weights, EMA, optimizer, schedulers, random states, hooks and logged scalars of the
uninterrupted run, to the last bit, and its batches must neither repeat nor be left out.

    python -m tests.campaigns.resume_points --number 60 --jobs 2
"""

import atexit
import functools
import os
import shutil
import signal
import tempfile
import warnings
from pathlib import Path
from typing import Any

import mmengine.runner.runner
import numpy as np
from mmengine.hooks import Hook

from mmfusion.engine import FusionRunner
from mmfusion.engine.launch.start import prepare_work_dir
from tests.campaigns.campaign import main
from tests.campaigns.forked_runs import Job
from tests.engine.toy_runs import differences, toy_config

EPOCHS, STEPS = 3, 6
LAST = f"epoch_{EPOCHS}.pth"
VARIANTS: list[dict[str, Any]] = [
    {},
    {"optim_wrapper.accumulative_counts": 4},
    {"optim_wrapper.accumulative_counts": 2, "optim_wrapper.dtype": "bfloat16"},
    {"train_dataloader.num_workers": 2},
    {"default_hooks.checkpoint.interval": 10},
    {"train_cfg.val_interval": 2, "model.with_bn": False},
    {"custom_hooks.0.ema_type": "MomentumAnnealingEMA"},
    {"custom_hooks": [], "param_scheduler": [dict(type="CosineAnnealingLR")]},
]
POINTS = (
    "first step",
    "within an epoch",
    "within a group",
    "end of an epoch",
    "in a validation",
    "after a validation",
    "after the last validation",
    "killed after a save",
)


def trial(number: int, random: np.random.Generator, folder: Path) -> str:
    """Stop one run at one or two points, and compare its end with the whole run's."""
    point = POINTS[number % len(POINTS)]
    variant = int(random.integers(len(VARIANTS)))
    if point == "within a group":
        variant = 1
    work = folder / "run"
    stops = [place_of(point, random)]
    if number // len(POINTS) % 2:
        stops.append(("iter", int(random.integers(STEPS, EPOCHS * STEPS))))
    for stop in stops:
        job = start(work, variant, stop)
        code = job.wait()
        assert code in (0, -signal.SIGKILL), job.text()
    job = start(work, variant)
    assert job.wait() == 0, job.text()
    whole = uninterrupted(variant)
    assert differences(whole / LAST, work / LAST) == [], (variant, stops)
    assert ids_of(work) == ids_of(whole), (variant, stops)
    return point


def place_of(point: str, random: np.random.Generator) -> tuple[str, int]:
    """Stage and number at which a run is stopped."""
    epoch = int(random.integers(1, EPOCHS))
    step = int(random.integers(1, STEPS))
    return {
        "first step": ("iter", 1),
        "within an epoch": ("iter", (epoch - 1) * STEPS + step),
        "within a group": ("iter", (epoch - 1) * STEPS + 2),
        "end of an epoch": ("epoch", epoch),
        "in a validation": ("val", epoch),
        "after a validation": ("val_end", epoch),
        "after the last validation": ("val_end", EPOCHS),
        "killed after a save": ("saved", int(random.integers(1, 2 * EPOCHS))),
    }[point]


class KillAfterSave(Hook):
    """SIGKILL to the own process after the n-th save point of epoch or validation."""

    priority = "LOWEST"

    def __init__(self, at: int) -> None:
        self.left = at

    def on_save_point(self, runner: Any, kind: str) -> None:
        """Count, and end."""
        self.left -= kind != "iter"
        if self.left == 0 and kind != "iter":
            os.kill(os.getpid(), signal.SIGKILL)


class Ids(Hook):
    """Writes the ids of every training batch to a file, one line a step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Add a line, whole at once."""
        ids = " ".join(sample.sample_id for sample in data_batch["data_samples"])
        with open(self.path, "a") as file:
            file.write(f"{runner.iter} {ids}\n")


def ids_of(work: Path) -> dict[str, str]:
    """Step to the ids of its batch, the last time that it was done."""
    lines = work.with_suffix(".ids").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)


def start(work: Path, variant: int, stop: tuple[str, int] | None = None) -> Job:
    """The command in a forked child, with hooks that are no part of the config."""

    def target(places: int) -> int:
        # MMEngine takes accumulated steps for a wrong order
        warnings.filterwarnings("ignore", "Detected call of `scheduler.step")
        mmengine.runner.runner.collect_env = dict  # it asks the compilers: seconds
        config = toy_config(work, VARIANTS[variant])
        if prepare_work_dir(config, None):
            return 0
        runner = FusionRunner.from_cfg(config)
        runner.register_hook(Ids(work.with_suffix(".ids")))
        if stop and stop[0] == "saved":
            runner.register_hook(KillAfterSave(stop[1]))
        elif stop:
            runner.register_hook(dict(type="SignalAt", stage=stop[0], at=stop[1]))
        runner.train()
        return runner.exit_code

    return Job(target, work.with_suffix(".txt"))


@functools.cache
def uninterrupted(variant: int) -> Path:
    """Folder of a run of a variant that nobody stopped."""
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    job = start(folder / "run", variant)
    assert job.wait() == 0, job.text()
    return folder / "run"


if __name__ == "__main__":
    main(trial, __doc__, 60)
