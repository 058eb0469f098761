"""The list of defects fits the code, and one of them turns its tests red."""

from pathlib import Path

from tests.campaigns import mutation
from tests.campaigns.defects import DEFECTS
from tests.campaigns.fresh import run_fresh


def test_every_defect_is_still_one_line_of_the_code() -> None:
    assert len(DEFECTS) >= 120
    assert mutation.stale() == []


def test_a_defect_turns_a_test_red(tmp_path: Path) -> None:
    number = next(i for i, one in enumerate(DEFECTS) if one.file.endswith("tokens.py"))
    counts = run_fresh(mutation.trial, [number], tmp_path)
    assert not counts.broken, counts.broken
    assert dict(counts.outcomes) == {"red in its own tests": 1}
