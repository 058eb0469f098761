import numpy as np
import pytest

from mmfusion.evaluation.late_fusion import late_fusion
from mmfusion.evaluation.predictions import Predictions
from mmfusion.utils.errors import InputError


def predictions(ids, score, labels=None):
    labels = np.zeros(len(ids), np.int64) if labels is None else np.array(labels)
    found = {"action": np.array(score, np.float32)}
    return Predictions([*ids], found, {"action": labels}, {"dataset": "made"})


def test_it_is_the_mean_whatever_the_order_of_the_clips():
    first = predictions("ab", [[0.6, 0.4], [0.1, 0.9]], [0, 1])
    second = predictions("ba", [[0.3, 0.7], [0.2, 0.8]], [1, 0])
    found = late_fusion([first, second])
    assert found.ids == ["a", "b"] and found.metainfo == {"dataset": "made"}
    np.testing.assert_allclose(found.score["action"], [[0.4, 0.6], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (predictions("ac", [[1, 0], [1, 0]]), "not\n? *the same ones"),
        (predictions("ab", [[1, 0, 0], [1, 0, 0]]), "2 *classes"),
        (predictions("ab", [[1, 0], [1, 0]], [1, 0]), "labels"),
        (predictions("ab", [[2.0, -1], [1, 0]]), "do not sum to 1"),
    ],
    ids=["clips", "classes", "labels", "logits"],
)
def test_what_cannot_be_added_is_refused(second, words):
    first = predictions("ab", [[1, 0], [1, 0]])
    with pytest.raises(InputError, match=words):
        late_fusion([first, second])
