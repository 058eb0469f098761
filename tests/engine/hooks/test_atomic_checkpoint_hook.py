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
