"""A campaign counts outcomes, names broken trials, and repeats any one of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.campaigns.campaign import run_trials

ROOT = Path(__file__).resolve().parents[2]


def draw(number: int, random: np.random.Generator, folder: Path) -> str:
    assert not list(folder.iterdir())
    (folder / "file").touch()
    assert number != 3, "three is wrong"
    return f"{number}: {random.integers(1000)}"


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_broken_trial_is_named_and_the_others_are_counted(
    jobs: int, tmp_path: Path
) -> None:
    counts = run_trials(draw, range(5), tmp_path, jobs=jobs)
    assert list(counts.broken) == [3] and "three is wrong" in counts.broken[3]
    assert sum(counts.outcomes.values()) == 4
    again = run_trials(draw, [4], tmp_path)
    assert set(again.outcomes) <= set(counts.outcomes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("only", "code"), [(1, 0), (3, 1)])
def test_a_person_runs_it(only: int, code: int, tmp_path: Path) -> None:
    lines = [
        "from tests.campaigns.campaign import main",
        "from tests.campaigns.test_campaign import draw",
        "main(draw, 'drawing', 5)",
    ]
    command = [sys.executable, "-c", "\n".join(lines), "--only", str(only)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stderr
    assert run.stdout.startswith(f'{{"trials": 1, "broken": {code}')
