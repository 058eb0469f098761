import json

import numpy as np
import pytest

from mmfusion.evaluation.answers import Answers
from mmfusion.evaluation.calibration import calibration, format_calibration


def answers(confidence, correct):
    sure = np.array(confidence, np.float64)
    labels = np.where(correct, 0, 1)
    ids = tuple(f"c{i}" for i in range(len(sure)))
    return Answers("action", ids, labels, np.zeros_like(labels), sure, sure, 2)


def test_error_by_hand():
    # (0.6, 0.8]: 0.7 and 0.8, one right; (0.8, 1]: 0.9 and 1.0, both right
    found = calibration(answers([0.7, 0.8, 0.9, 1.0], [1, 0, 1, 1]), num_bins=5)
    assert found.ece == pytest.approx(100 * (abs(0.75 - 0.5) + abs(0.95 - 1)) / 2)
    assert found.worst_gap == pytest.approx(25.0)
    assert [one.num_clips for one in found.bins] == [0, 0, 0, 2, 2]
    assert found.bins[3].confidence == pytest.approx(75.0)
    assert found.bins[3].accuracy.mean == 50.0
    assert (found.bins[0].confidence, found.bins[0].accuracy) == (None, None)
    assert (found.accuracy, found.confidence) == (75.0, pytest.approx(85.0))
    assert "10.0 points too sure" in format_calibration(found)
    json.dumps(found.as_dict(), allow_nan=False)


def test_bins_are_those_of_scikit_learn():
    module = pytest.importorskip("sklearn.calibration")
    rng = np.random.default_rng(0)
    sure = rng.random(500)
    right = rng.random(500) < sure**2
    for binning, strategy in (("width", "uniform"), ("mass", "quantile")):
        found = calibration(answers(sure, right), num_bins=10, binning=binning)
        full = [one for one in found.bins if one.num_clips]
        accuracy, confidence = module.calibration_curve(
            right, sure, n_bins=10, strategy=strategy
        )
        share = [one.accuracy.mean / 100 for one in full]
        tolerance = 1e-9 if binning == "width" else 0.03  # another kind of quantile
        np.testing.assert_allclose(share, accuracy, atol=tolerance)
        means = [one.confidence / 100 for one in full]
        np.testing.assert_allclose(means, confidence, atol=tolerance)


def test_a_calibrated_model_has_the_error_that_chance_gives():
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.3, 1, 400)
    errors = [calibration(answers(sure, rng.random(400) < sure)).ece for _ in range(30)]
    expected = calibration(answers(sure, np.ones(400, bool))).ece_if_calibrated
    assert expected == pytest.approx(np.mean(errors), rel=0.1)
    assert expected > 2  # an unbiased figure would be 0


def test_bins_of_equal_mass_keep_equal_scores_together():
    sure = np.array([0.2, 0.5, 0.5, 0.5, 0.9, 0.95])
    found = calibration(answers(sure, [0, 1, 0, 1, 1, 1]), num_bins=3, binning="mass")
    assert [one.num_clips for one in found.bins] == [4, 2]
    same = calibration(answers([0.9] * 5, [1] * 5), binning="mass")
    assert [one.num_clips for one in same.bins] == [5]
    assert same.ece == pytest.approx(10.0)


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="'c1' is 3.5; calibration needs prob"):
        calibration(answers([0.5, 3.5], [1, 1]))
    with pytest.raises(ValueError, match="binning is 'equal'"):
        calibration(answers([0.5], [1]), binning="equal")
    with pytest.raises(ValueError, match="num_bins is 0"):
        calibration(answers([0.5], [1]), num_bins=0)
