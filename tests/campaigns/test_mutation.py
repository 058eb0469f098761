"""The list of defects fits the code, and one of them turns its tests red."""

from pathlib import Path

import numpy as np

from tests.campaigns import mutation
from tests.campaigns.defects import DEFECTS


def test_every_defect_is_still_one_line_of_the_code() -> None:
    assert len(DEFECTS) >= 120
    assert mutation.stale() == []


def test_a_defect_turns_a_test_red(tmp_path: Path) -> None:
    number = next(i for i, one in enumerate(DEFECTS) if one.file.endswith("tokens.py"))
    outcome = mutation.trial(number, np.random.default_rng(0), tmp_path)
    assert outcome == "red in its own tests"
