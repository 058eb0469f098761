"""Trials that fork, in a new Python: after other tests a fork may inherit locks.

A decoder's threads, for one, are not in the child, where their locks stay locked.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.campaigns.campaign import Counts, Trial, run_trials


def run_fresh(
    trial: Trial,
    numbers: Iterable[int],
    folder: Path,
    defect: Callable[[], None] | None = None,
) -> Counts:
    """:func:`run_trials` in a process that has imported nothing of ours before.

    Args:
        trial, numbers, folder: as there. defect: puts a defect into that process.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_run, trial, list(numbers), folder, defect).result()


def _run(
    trial: Trial,
    numbers: list[int],
    folder: Path,
    defect: Callable[[], None] | None,
) -> Counts:
    if defect is not None:
        defect()
    return run_trials(trial, numbers, folder)
