"""The short form of the campaign, and that it can see a defect."""

from mmfusion.engine.runner import resumable_train_loop
from tests.campaigns.fresh import run_fresh
from tests.campaigns.resume_points import trial


def test_stopped_runs_equal_whole_ones(tmp_path):
    counts = run_fresh(trial, [2, 7], tmp_path)
    assert not counts.broken, counts.broken


def put_no_random_state_back():
    resumable_train_loop.set_rng_state = lambda state: None


def test_random_states_that_are_not_put_back_are_seen(tmp_path):
    counts = run_fresh(trial, [0], tmp_path, put_no_random_state_back)
    assert "differences(whole" in counts.broken[0]
