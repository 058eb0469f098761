"""The rule by which the best checkpoint is chosen among equal ones."""

from types import SimpleNamespace

import pytest

from mmfusion.engine import AtomicCheckpointHook


@pytest.mark.parametrize(
    ("rule", "epoch"), [("greater", 2), ("greater_or_equal", 3), ("less", 1)]
)
def test_of_equal_epochs_the_first_or_the_last_is_kept(rule, epoch, monkeypatch):
    hook = AtomicCheckpointHook(save_best="top1", rule=rule)
    monkeypatch.setattr(hook, "_write", lambda *_, **__: True)
    monkeypatch.setattr(hook, "_scores", lambda _: {})
    for number, value in enumerate([50.0, 75.0, 75.0], start=1):
        runner = SimpleNamespace(epoch=number, logger=SimpleNamespace(info=print))
        hook.after_val_epoch(runner, {"top1": value})
        hook._update_best(runner)
    assert hook.best["epoch"] == epoch


@pytest.mark.parametrize(
    ("best_from", "epoch"), [(0.0, 1), (0.5, 2), (0.6, 3), (1.0, 4)]
)
def test_the_best_is_chosen_from_a_share_of_the_epochs_on(
    best_from, epoch, monkeypatch
):
    hook = AtomicCheckpointHook(save_best="top1", best_from=best_from)
    monkeypatch.setattr(hook, "_write", lambda *_, **__: True)
    monkeypatch.setattr(hook, "_scores", lambda _: {})
    for number, value in enumerate([90.0, 80.0, 70.0, 60.0], start=1):
        runner = SimpleNamespace(
            epoch=number,
            max_epochs=4,
            train_loop=SimpleNamespace(stop_training=False),
            logger=SimpleNamespace(info=print),
        )
        hook.after_val_epoch(runner, {"top1": value})
        hook._update_best(runner)
    assert hook.best["epoch"] == epoch


def test_a_share_over_one_is_refused():
    with pytest.raises(ValueError, match="best_from: got 1.5"):
        AtomicCheckpointHook(best_from=1.5)
