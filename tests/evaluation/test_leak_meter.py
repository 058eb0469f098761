import sys

import numpy as np
import pytest

from mmfusion.evaluation.leak_meter import AskedClips, measure_leak, read_off

pytest.importorskip("sklearn")

VERBS = ["open", "wash", "cut", "pour"]
NOUNS = ["door", "plate", "onion", "milk", "pan"]
HINTS = ["entrance", "dish", "vegetable", "drink", "stove"]


def clips(n, seed, ask):
    rng = np.random.default_rng(seed)
    verb, noun = rng.integers(0, len(VERBS), n), rng.integers(0, len(NOUNS), n)
    pairs = [ask(v, o, rng) for v, o in zip(verb, noun, strict=True)]
    return AskedClips([a for a, _ in pairs], [b for _, b in pairs], verb, noun)


def generic(verb, noun, rng):
    return "What is the person doing?", "Which object is it?"


def ground_truth(verb, noun, rng):
    # the noun is masked, and told all the same
    return f"How does one {VERBS[verb]} the <mask>?", f"Near the {HINTS[noun]}, what?"


def half_informative(verb, noun, rng):
    told = HINTS[noun] if rng.random() < 0.5 else "thing"
    return "What is done?", f"Which {told} is it?"


def test_a_fixed_question_tells_the_commonest_class_and_no_more():
    found = measure_leak(clips(200, 0, generic), clips(400, 1, generic))
    assert found["verb"].accuracy == found["verb"].majority
    assert found["noun"].accuracy == found["noun"].majority
    assert found["action"].accuracy < 10  # the commonest verb with the commonest noun
    assert found["verb"].chance == 25.0 and found["noun"].chance == 20.0
    assert found["action"].chance == pytest.approx(5.0)


def test_words_of_the_label_are_read_off():
    found = measure_leak(clips(200, 0, ground_truth), clips(400, 1, ground_truth))
    assert {leak.accuracy for leak in found.values()} == {100.0}
    assert found["verb"].majority < 40


def otherwise(verb, noun, rng):
    """Each word for the class before the one that it tells elsewhere."""
    return ground_truth((verb + 1) % len(VERBS), (noun + 1) % len(NOUNS), rng)


def test_the_evaluated_clips_teach_nothing():
    """Words mean other classes in training: what was learnt there is always wrong."""
    asked = clips(200, 0, ground_truth)
    found = measure_leak(asked, clips(400, 1, otherwise))
    assert {leak.accuracy for leak in found.values()} == {0.0}
    mixed = measure_leak(asked, clips(40, 1, ground_truth), max_train=40)
    assert mixed["noun"].accuracy == 100.0


def test_commonest_and_chance_are_those_of_training():
    text = ["x"] * 10
    train = AskedClips(text, text, np.arange(10) // 4, np.array([3] * 6 + [5] * 4))
    verb, noun = np.array([0] * 2 + [2] * 8), np.array([5] * 7 + [3] * 3)
    found = measure_leak(AskedClips(text, text, verb, noun), train)
    assert (found["verb"].majority, found["noun"].majority) == (20.0, 30.0)
    assert found["verb"].chance == pytest.approx(100 / 3)
    assert found["noun"].chance == 50.0
    assert found["action"].chance == 25.0  # pairs (0, 3), (1, 3), (1, 5), (2, 5)


def test_half_a_leak_is_half_measured():
    asked = clips(400, 0, half_informative)
    found = measure_leak(asked, clips(400, 1, half_informative))
    assert 50 < found["noun"].accuracy < 70  # half of them, and 1 of 5 of the others
    assert found["verb"].accuracy == found["verb"].majority


def test_one_file_alone_is_measured_by_halves_and_twice_the_same():
    asked = clips(300, 0, ground_truth)
    found = measure_leak(asked)
    assert found["action"].accuracy == 100.0
    assert found == measure_leak(asked)


def test_halves_do_not_read_what_they_were_taught():
    """Each question has a word of its own: learnt by heart, and of no use elsewhere."""
    texts = [f"Is it the thing number {index} here?" for index in range(60)]
    labels = np.random.default_rng(0).permutation(np.arange(60) % 2)
    found = measure_leak(AskedClips(texts, texts, labels, labels))
    assert found["verb"].accuracy < 75


def test_a_large_training_split_is_sampled():
    train = clips(400, 1, half_informative)
    few = measure_leak(clips(100, 0, half_informative), train, max_train=10)
    many = measure_leak(clips(100, 0, half_informative), train)
    assert few["noun"].accuracy < many["noun"].accuracy


def test_classes_keep_their_numbers_and_new_words_do_no_harm():
    labels = np.array([7, 90, 7, 90])
    found = read_off(["a b", "c", "a", "c d"], labels, ["a", "c", "never seen c", ""])
    assert found[:3].tolist() == [7, 90, 90] and found[3] in labels


def test_clips_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"of \[1, 2\] clips"):
        AskedClips(["a", "b"], ["a"], np.array([0]), np.array([0]))
    with pytest.raises(ValueError, match="above 0"):
        AskedClips([], [], np.array([], int), np.array([], int))


def test_one_class_is_always_read():
    found = read_off(["a", "b"], np.array([4, 4]), ["a", "c", "d"])
    assert found.tolist() == [4, 4, 4]


def test_without_sklearn_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(ImportError, match=r"pip install -r requirements/optional\.txt"):
        read_off(["a", "b"], np.array([0, 1]), ["a"])
