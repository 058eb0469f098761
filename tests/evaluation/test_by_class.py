import numpy as np
import pytest

from mmfusion.evaluation.answers import answers
from mmfusion.evaluation.by_class import class_report, format_worst
from mmfusion.evaluation.functional import mean_class_accuracy
from mmfusion.evaluation.predictions import Predictions


def predictions(labels, predicted, num_classes, names=None):
    score = np.full((len(labels), num_classes), 0.1, np.float32)
    score[np.arange(len(labels)), predicted] = 0.9
    meta = {} if names is None else {"classes": {"action": names}}
    ids = [f"c{i}" for i in range(len(labels))]
    return Predictions(ids, {"action": score}, {"action": np.array(labels)}, meta)


def report(labels, predicted, num_classes=5, names=None):
    return class_report(answers(predictions(labels, predicted, num_classes, names)))


def test_matrix_and_classes_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 6, 300), rng.integers(0, 7, 300)
    found = report(labels, predicted, 9)
    assert found.classes.tolist() == list(range(7))  # 7 and 8 do not occur
    expected = metrics.confusion_matrix(labels, predicted, labels=range(7))
    assert np.array_equal(found.counts, expected)
    precision, recall, _, count = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(7), zero_division=0
    )
    for row in found.rows:
        assert row.num_clips == count[row.index]
        assert row.precision == pytest.approx(100 * precision[row.index])
        if row.accuracy is not None:
            assert row.accuracy.mean == pytest.approx(100 * recall[row.index])
    assert found.rows[6].accuracy is None
    score = np.eye(9)[predicted]
    assert found.mean_class == pytest.approx(mean_class_accuracy(score, labels))


def test_worst_classes_and_confusions_by_hand():
    names = ["grab", "place", "open", "close", "pour"]
    found = report([0, 0, 0, 1, 1, 2, 3, 3], [1, 1, 2, 1, 0, 2, 1, 0], names=names)
    assert [row.name for row in found.worst()] == ["grab", "close", "place"]
    first = found.worst(1)[0]
    assert (first.num_clips, first.taken_for, first.num_taken) == (3, "place", 2)
    assert first.num_answers == 2
    assert found.confusions(1)[0].label == "grab"
    assert found.confusions(1)[0].num_clips == 2
    assert found.accuracy.mean == 25.0
    text = format_worst(found, 2).splitlines()
    assert text[0] == (
        "action: 8 clips of 4 classes, mean class 37.50 %; the worst classes:"
    )
    assert text[2] == "  grab       3  0.0 (0.0 to 56.1)       place (2)"
    assert len(text) == 4
    assert format_worst(report([1], [1])).endswith("every class is right")


def test_plain_values_have_the_cells_that_are_not_empty():
    content = report([0, 0, 4], [0, 4, 4]).as_dict()
    assert content["confusion"]["cells"] == [[0, 0, 1], [0, 4, 1], [4, 4, 1]]
    assert content["classes"][0]["accuracy"]["mean"] == 50.0
    assert content["mean_class"] == 75.0


def test_pairs_of_many_classes_need_no_matrix_of_all():
    ids = ["a", "b"]
    score = {"verb": np.eye(2, 97), "noun": np.eye(2, 300)}
    gt = {"verb": np.array([0, 1]), "noun": np.array([0, 0])}
    found = class_report(answers(Predictions(ids, score, gt)))
    assert found.counts.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert found.names == ("0", "300", "301")
