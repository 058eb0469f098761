"""Short form of the campaign of :mod:`tests.campaigns.mutated_skeletons`."""

from tests.campaigns.campaign import run_trials
from tests.campaigns.mutated_skeletons import KINDS, trial


def test_mutated_skeletons_are_read_right_masked_or_refused(tmp_path):
    counts = run_trials(trial, range(8 * len(KINDS)), tmp_path)
    assert counts.broken == {}, "\n".join(counts.broken.values())
    kinds = {outcome.partition(":")[0] for outcome in counts.outcomes}
    assert kinds == {kind.__name__ for kind in KINDS}
