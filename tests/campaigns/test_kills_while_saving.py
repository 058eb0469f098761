"""The short form of the campaign, and that it can see a defect."""

from mmfusion.engine.runner import checkpoints
from mmfusion.utils import paths
from tests.campaigns.fresh import run_fresh
from tests.campaigns.kills_while_saving import trial


def test_kills_lose_nothing(tmp_path):
    counts = run_fresh(trial, [1, 2], tmp_path)
    assert not counts.broken, counts.broken


def write_in_place():
    def write(path, data):
        with open(path, "wb") as file:
            data(paths._ErrorKeepingFile(file))

    checkpoints.write_atomic = write


def test_a_checkpoint_that_is_written_in_its_place_is_seen(tmp_path):
    counts = run_fresh(trial, [1], tmp_path, write_in_place)  # it ends within a write
    assert "damaged" in counts.broken[1] or "no checkpoint" in counts.broken[1]
