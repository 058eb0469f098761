"""Short form of the campaign of signals; see :mod:`tests.campaigns.signals`."""

import pytest

from tests.campaigns.fresh import run_fresh
from tests.campaigns.signals import trial


@pytest.mark.slow
def test_a_signal_leaves_a_checkpoint_of_its_step(tmp_path):
    """In a validation of one process, and in the first step of two."""
    counts = run_fresh(trial, (8, 3), tmp_path)
    assert counts.broken == {}, "\n".join(counts.broken.values())
    assert "2 processes, train 1" in counts.outcomes
