from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from mmfusion.engine import FusionRunner


@pytest.mark.parametrize("has_labels", [True, False])
def test_nothing_is_scored_where_labels_are_hidden(monkeypatch, has_labels):
    dataset = SimpleNamespace(has_labels=has_labels, metainfo={})
    loop = SimpleNamespace(
        dataloader=SimpleNamespace(dataset=dataset), evaluator="scores"
    )
    monkeypatch.setattr(Runner, "build_test_loop", lambda self, config: loop)
    monkeypatch.setattr(FusionRunner, "_checked", lambda self, loop, metrics: loop)
    runner = FusionRunner.__new__(FusionRunner)
    runner.logger = MMLogger.get_current_instance()
    built = runner.build_test_loop({})
    if has_labels:
        assert built.evaluator == "scores"
    else:
        assert built.evaluator.metrics == [] and built.evaluator.evaluate(3) == {}
