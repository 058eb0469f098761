"""The short form of the campaign, and that it can see a defect."""

from mmfusion.engine.runner import resumable_train_loop
from tests.campaigns.campaign import run_trials
from tests.campaigns.resume_points import trial


def test_stopped_runs_equal_whole_ones(tmp_path):
    counts = run_trials(trial, [2, 7], tmp_path)
    assert not counts.broken, counts.broken


def test_random_states_that_are_not_put_back_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable_train_loop, "set_rng_state", lambda state: None)
    counts = run_trials(trial, [0], tmp_path)
    assert "differences(whole" in counts.broken[0]
