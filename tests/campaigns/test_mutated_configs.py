"""A few configs with one mistake each; ``mutated_configs.py`` has the whole form."""

from tests.campaigns.campaign import run_trials
from tests.campaigns.mutated_configs import trial


def test_no_mistake_passes_in_silence(tmp_path):
    counts = run_trials(trial, range(30), tmp_path)
    assert counts.broken == {}
    refused = sum(n for how, n in counts.outcomes.items() if "refused" in how)
    assert refused > 20
