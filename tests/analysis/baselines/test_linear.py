import numpy as np
import pytest

from mmfusion.analysis.baselines.linear import Labelled, fit_linear
from mmfusion.utils.errors import InputError

pytest.importorskip("sklearn", reason="it fits the regression")


def clips(count, seed, noise=0.3, size=6):
    """Three classes apart in the first number, the others noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    x = rng.normal(0, noise, (count, size))
    x[:, 0] += 3.0 * labels
    return Labelled(x, labels)


def test_classes_apart_are_told_and_a_class_never_seen_gets_nothing():
    model = fit_linear(clips(30, 0), clips(12, 1), 5)
    new = clips(20, 2)
    found = model.probabilities(new.x)
    assert found.shape == (20, 5) and (found[:, 3:] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == new.labels).mean() > 0.9
    assert model.chosen_on == 12


def test_labels_that_are_noise_choose_a_strong_penalty():
    rng = np.random.default_rng(0)
    train, val = (
        Labelled(rng.normal(size=(30, 5)), rng.integers(0, 3, 30)) for _ in "ab"
    )
    assert fit_linear(train, val, 3).strength < 0.1


def test_without_validation_every_training_clip_chooses_once():
    train = clips(31, 0)
    first, second = (fit_linear(train, None, 3) for _ in "ab")
    assert first.chosen_on == 31 and first.strength == second.strength
    np.testing.assert_array_equal(
        first.probabilities(train.x), second.probabilities(train.x)
    )


def test_the_turn_to_few_axes_changes_no_answer():
    from sklearn.linear_model import LogisticRegression

    train, new = clips(20, 0, size=40), clips(9, 1, size=40)
    model = fit_linear(train, clips(12, 2, size=40), 3)
    mean, scale = train.x.mean(axis=0), train.x.std(axis=0)
    plain = LogisticRegression(C=model.strength, max_iter=5000, tol=1e-8)
    plain.fit((train.x - mean) / scale, train.labels)
    expected = plain.predict_proba((new.x - mean) / scale)
    np.testing.assert_allclose(model.probabilities(new.x), expected, atol=5e-3)


def test_one_class_is_refused():
    train = Labelled(np.zeros((20, 2)), np.zeros(20, np.int64))
    with pytest.raises(InputError, match="20 training clips of 1 classes"):
        fit_linear(train, None, 2)
