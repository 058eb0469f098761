"""The card in a run's checkpoints."""

import pytest

from mmfusion.engine.runner.card import check_card, scored
from mmfusion.weights import load_checked
from tests.engine.toy import ToyDataset
from tests.engine.toy_runs import run_toy


def card_in(path):
    return load_checked(path)["meta"]["card"]


def test_every_checkpoint_of_a_run_has_its_card(tmp_path):
    runner = run_toy(tmp_path)
    for path in tmp_path.glob("*.pth"):
        card = check_card(card_in(path), path.name)
        assert card["classes"] == {"action": ["class 0", "class 1", "class 2"]}
        assert card["model"]["type"] == "ToyModel"
        assert card["data"]["splits"].keys() == {"train", "val"}
        assert card["data"]["n"] == len(runner.train_dataloader.dataset)
    best = load_checked(tmp_path / "best.pth")["meta"]
    score = best["card"]["metrics"]["action/top1"]
    assert score["value"] == best["best"]["value"]
    assert score["n"] == len(runner.val_dataloader.dataset)
    assert score["low"] <= score["value"] <= score["high"]


def test_only_shares_of_all_clips_have_an_interval():
    found = scored({"action/top1": 50.0, "action/mean_class": 40.0}, ToyDataset(22))
    assert found["action/top1"] == pytest.approx(
        {"value": 50.0, "low": 30.7, "high": 69.3, "n": 22, "split": "val"}, abs=0.05
    )
    assert found["action/mean_class"]["low"] is None
    assert scored({"action/top1": 51.0}, ToyDataset(22))["action/top1"]["low"] is None


def test_a_part_of_the_clips_has_no_size():
    (found,) = scored({"p/unseen/verb/top1": 50.0}, ToyDataset(22)).values()
    assert found["n"] is found["low"] is found["high"] is None
