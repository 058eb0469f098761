"""MMEngine's dataloader, apart from the global random generator and from signals."""

import os
from collections.abc import Callable
from functools import partial

import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmfusion.registry import FUNCTION
from mmfusion.utils.errors import ConfigError


def build_dataloader(dataloader: DataLoader | dict, seed: int) -> DataLoader:
    """Build a loader whose samples depend on ``seed``, not on what was drawn before.

    Args:
        dataloader: config as MMEngine has it, or a loader.
        seed: the run's, the same on every rank.
    """
    if isinstance(dataloader, dict):
        dataloader = _with_collate(dataloader)
        if not dataloader.get("num_workers"):  # what torch refuses without workers
            workers_only = ("persistent_workers", "prefetch_factor")
            dataloader = {k: v for k, v in dataloader.items() if k not in workers_only}
    loader = Runner.build_dataloader(dataloader, seed=seed)
    if loader.generator is None:
        loader.generator = torch.Generator()
    loader.generator.manual_seed(seed)
    loader.worker_init_fn = partial(_init_worker, inner=loader.worker_init_fn)
    return loader


def _with_collate(dataloader: dict) -> dict:
    """The config with its collate function found: MMEngine looks in its own only."""
    collate = dataloader.get("collate_fn")
    if not isinstance(collate, dict) or not isinstance(collate.get("type"), str):
        return dataloader
    name = collate["type"]
    function = FUNCTION.get(name) or FUNCTION.get(name.removeprefix("mmfusion."))
    if function is None:
        raise ConfigError(f"collate_fn: no function named {name!r}")
    return {**dataloader, "collate_fn": {**collate, "type": function}}


def _init_worker(worker_id: int, inner: Callable | None) -> None:
    """Move a loader's worker out of the process group of the run.

    A signal to the group (Ctrl-C, a batch system) then reaches the run alone, which
    stops gracefully and ends its workers itself.
    """
    os.setpgrp()
    if inner is not None:
        inner(worker_id)
