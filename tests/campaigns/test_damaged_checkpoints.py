"""Short form of :mod:`tests.campaigns.damaged_checkpoints`."""

from tests.campaigns.campaign import run_trials
from tests.campaigns.damaged_checkpoints import KINDS, trial


def test_no_damage_is_loaded_and_no_error_is_raw(tmp_path):
    counts = run_trials(trial, range(1, 1 + 4 * len(KINDS)), tmp_path)
    assert counts.broken == {}, "\n".join(counts.broken.values())
    assert counts.outcomes["one damaged: fell back"] >= 4
