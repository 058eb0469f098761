"""Many trials of one kind of fault: run side by side, counted, repeatable one by one.

A campaign is a module with a function ``trial``, a docstring that says what is damaged
and what must hold, and ``main(trial, __doc__, number)`` at its end. The suite runs a
few of its trials by :func:`run_trials`; a person runs it whole, from the repository:

    python -m tests.campaigns.NAME --number 200 --jobs 2

Exit code 0 says that the rule held in every trial, 1 that it was broken in some.
"""

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Trial = Callable[[int, np.random.Generator, Path], str]
"""Number of the trial, its random numbers and an empty folder of its own -> outcome.

The outcome is a word or two ("refused", "fell back"). A rule that does not hold is an
AssertionError; any other exception breaks the rule too.
"""


@dataclass
class Counts:
    """Outcomes of the trials so far, and the trials in which the rule was broken."""

    outcomes: Counter[str] = field(default_factory=Counter)
    broken: dict[int, str] = field(default_factory=dict)

    def table(self) -> str:
        """One line of JSON: number of trials, of broken ones, and of each outcome."""
        number = sum(self.outcomes.values()) + len(self.broken)
        found = {"trials": number, "broken": len(self.broken)}
        return json.dumps({**found, **dict(sorted(self.outcomes.items()))})


def run_trials(
    trial: Trial,
    numbers: Iterable[int],
    folder: Path,
    *,
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Counts:
    """Run trials, here (``jobs`` = 1) or in processes, and count how they ended.

    A trial has the same random numbers however many run beside it.
    """
    counts = Counts()
    if jobs == 1:
        for number in numbers:
            _count(counts, number, *_run(trial, number, seed, folder))
            if progress:
                progress(number)
        return counts
    with ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(_run, trial, n, seed, folder): n for n in numbers}
        for done in as_completed(running):
            number = running[done]
            try:
                _count(counts, number, *done.result())
            except BrokenProcessPool:
                counts.broken[number] = (
                    "the process of this trial, or its neighbour's, died"
                )
            if progress:
                progress(number)
    return counts


def main(trial: Trial, doc: str | None, number: int) -> None:
    """Run a campaign from the command line; ends the process."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--number", type=int, default=number, help="of trials")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--only", type=int, help="repeat this trial alone")
    args = parser.parse_args()
    numbers = range(args.number) if args.only is None else [args.only]
    began, done = time.monotonic(), 0

    def progress(_: int) -> None:
        nonlocal done
        done += 1
        if done % max(1, len(numbers) // 20) == 0:
            passed = time.monotonic() - began
            sys.stderr.write(f"{done}/{len(numbers)} trials, {passed:.0f} s\n")

    with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        counts = run_trials(
            trial,
            numbers,
            Path(folder),
            seed=args.seed,
            jobs=args.jobs,
            progress=progress,
        )
    for broken, reason in sorted(counts.broken.items())[:20]:
        sys.stderr.write(f"trial {broken} (--only {broken}):\n{reason}\n")
    sys.stdout.write(counts.table() + "\n")
    sys.exit(1 if counts.broken else 0)


def _run(trial: Trial, number: int, seed: int, folder: Path) -> tuple[str, str]:
    """Outcome of one trial, and the reason where the rule was broken."""
    with tempfile.TemporaryDirectory(prefix=f"{number}-", dir=folder) as own:
        try:
            random = np.random.default_rng([seed, number])
            return trial(number, random, Path(own)), ""
        except Exception:
            return "", traceback.format_exc(limit=-6)


def _count(counts: Counts, number: int, outcome: str, reason: str) -> None:
    if reason:
        counts.broken[number] = reason
    else:
        counts.outcomes[outcome] += 1
