"""Short form of the campaign of killed ranks; see :mod:`tests.campaigns.rank_kills`."""

import pytest

from tests.campaigns.fresh import run_fresh
from tests.campaigns.rank_kills import trial


@pytest.mark.slow
def test_a_killed_rank_is_named_and_the_run_continues(tmp_path):
    counts = run_fresh(trial, (1,), tmp_path)
    assert counts.broken == {}, "\n".join(counts.broken.values())
