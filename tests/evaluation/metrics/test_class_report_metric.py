import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from mmfusion.evaluation import ClassReportMetric
from mmfusion.registry import METRICS


def samples(probabilities=True):
    scale = 1.0 if probabilities else 10.0
    rows = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]) * scale
    return [
        {
            "sample_id": f"c{i}",
            "gt_action": torch.tensor(label),
            "score_action": torch.tensor(row),
        }
        for i, (row, label) in enumerate(zip(rows, (0, 1, 1), strict=True))
    ]


def evaluate(data_samples):
    metric = METRICS.build(dict(type="ClassReportMetric", num_worst=1))
    metric.dataset_meta = {"classes": {"action": ["grab", "place"]}}
    metric.process({}, data_samples)
    return metric.evaluate(len(data_samples))


@pytest.fixture
def told(monkeypatch):
    texts = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, "info", texts.append)
    return texts


def test_logs_the_worst_class_and_gives_the_calibration_error(told):
    found = evaluate(samples())
    assert found == {"action/ece": pytest.approx(100 * (0.1 + 0.8 + 0.7) / 3)}
    lines = told[0].splitlines()
    assert " ".join(lines[2].split()) == "place 2 0.0 (0.0 to 65.8) grab (2)"
    assert "too sure" in lines[3]
    assert len(lines) == 4


def test_scores_that_are_no_probabilities_have_no_calibration(told):
    assert evaluate(samples(probabilities=False)) == {}
    assert len(told[0].splitlines()) == 3


def test_hidden_labels_have_no_report(told):
    rows = samples()
    del rows[1]["gt_action"]
    assert evaluate(rows) == {}
    assert told == []
    assert ClassReportMetric().num_worst == 5
