import numpy as np
import pytest

from mmfusion.evaluation.answers import answers, tasks_of
from mmfusion.evaluation.functional import predicted_classes, topk_correct
from mmfusion.evaluation.predictions import NO_LABEL, Predictions

SCORE = np.array([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2], [0.3, 0.3, 0.4]], np.float32)


def predictions(labels=(0, 1, 1), **more):
    gt = {"action": np.array(labels)}
    return Predictions(["a", "b", "c"], {"action": SCORE}, gt, more)


def test_class_and_its_probability_by_hand():
    found = answers(predictions(classes={"action": ["x", "y", "z"]}))
    assert found.predicted.tolist() == [0, 0, 2]  # the tie counts against the label
    assert found.confidence == pytest.approx([0.7, 0.4, 0.4])
    assert found.own == pytest.approx([0.7, 0.4, 0.3])
    assert found.correct.tolist() == [True, False, False]
    assert [found.name(i) for i in range(3)] == ["x", "y", "z"]
    assert answers(predictions()).name(2) == "2"


def test_an_answer_is_right_exactly_where_top_1_is():
    rng = np.random.default_rng(0)
    score = rng.integers(0, 3, (200, 4))  # many ties
    labels = rng.integers(0, 4, 200)
    right = predicted_classes(score, labels) == labels
    assert np.array_equal(right, topk_correct(score, labels, 1))


def test_an_action_is_a_verb_with_a_noun():
    score = {"verb": SCORE, "noun": SCORE[:, :2]}
    gt = {"verb": np.array([0, 0, 2]), "noun": np.array([0, 1, 0])}
    names = {"verb": ["cut", "mix", "wash"], "noun": ["egg", "pan"]}
    both = Predictions(["a", "b", "c"], score, gt, {"classes": names})
    found = answers(both)
    assert tasks_of(both) == ["action", "noun", "verb"]
    assert found.labels.tolist() == [0, 1, 4]
    assert found.correct.tolist() == [True, False, False]
    assert found.own == pytest.approx([0.49, 0.16, 0.12])
    assert found.name(4) == "wash egg"


def test_what_cannot_be_answered_is_named():
    assert tasks_of(predictions((0, NO_LABEL, 1))) == []
    with pytest.raises(ValueError, match="1 of 3 samples have no label"):
        answers(predictions((0, NO_LABEL, 1)))
    with pytest.raises(ValueError, match=r"scores for \['action'\], expected 'verb'"):
        answers(predictions(), "verb")
    with pytest.raises(ValueError, match="has 4 names for 'action', the scores have 3"):
        answers(predictions(classes={"action": list("wxyz")}))
    with pytest.raises(ValueError, match="has 'xyz' for 'action'"):
        answers(predictions(classes={"action": "xyz"}))


def test_classes_beyond_the_names_have_their_number():
    found = answers(predictions(classes={"action": ["x"]}))
    assert [found.name(i) for i in range(3)] == ["x", "1", "2"]
