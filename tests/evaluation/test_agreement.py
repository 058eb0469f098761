import numpy as np
import pytest

from mmfusion.evaluation.agreement import compare_clips
from mmfusion.evaluation.predictions import Predictions

LABELS = [0, 1, 0, 1]
IDS = ["a", "b", "c", "d"]


def dump(own, ids=IDS, labels=LABELS, names=("x", "y")):
    """Predictions whose label has the probability ``own``, by clip."""
    own, label = np.array(own), np.array(labels)
    score = np.where(np.arange(len(names)) == label[:, None], own[:, None], 0.0)
    score[np.arange(len(own)), 1 - label] = 1 - own
    classes = {"classes": {"action": list(names)}}
    return Predictions(list(ids), {"action": score}, {"action": label}, classes)


RGB = dump([0.9, 0.2, 0.6, 0.1])
HANDS = dump([0.3, 0.3, 0.7, 0.8][::-1], IDS[::-1], LABELS[::-1])  # another order


def test_clips_that_one_model_alone_gets_right():
    table = compare_clips({"rgb": RGB, "hands": HANDS})
    assert table.correct.tolist() == [[1, 0, 1, 0], [0, 0, 1, 1]]
    assert table.only_right("rgb") == [0]
    assert table.only_right("hands") == [3]
    assert table.none_right() == [1]
    assert table.counts() == {
        ("rgb",): 1,
        (): 1,
        ("rgb", "hands"): 1,
        ("hands",): 1,
    }
    clip = table.clip(3)
    assert (clip.id, clip.label, clip.right) == ("d", "y", ("hands",))
    assert clip.models["rgb"].answer == "x"
    assert clip.models["rgb"].confidence == pytest.approx(90)
    assert clip.models["rgb"].own == pytest.approx(10)


def test_the_worst_clips_come_first():
    table = compare_clips({"rgb": RGB, "hands": HANDS})
    assert table.worst(model="rgb") == [3, 1]
    assert table.worst() == [1, 3, 0]  # means 0.25, 0.45, 0.6; c is right
    assert table.worst(1) == [1]
    three = compare_clips({"rgb": RGB, "hands": HANDS, "both": RGB})
    assert three.only_right("rgb") == []
    assert three.only_right("rgb", among=("rgb", "hands")) == [0]
    with pytest.raises(ValueError, match=r"no models \['text'\]"):
        table.only_right("text")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (dump([1, 1, 1, 1], ["a", "b", "c", "e"]), "1 are only in the second, 1 only"),
        (dump([1, 1, 1, 1], labels=[0, 1, 1, 1]), "label of 1 clips, such as 'c'"),
        (dump([1, 1, 1, 1], names=("x", "z")), "same classes of 'action'"),
        (dump([1, 1, 1, 1], names=("x", "y", "z")), r"\(3 and 2\)"),
    ],
    ids=["clips", "labels", "names", "classes"],
)
def test_other_clips_are_refused(other, message):
    with pytest.raises(ValueError, match=message) as caught:
        compare_clips({"rgb": RGB, "hands": other})
    assert "'hands' and 'rgb'" in str(caught.value)


def test_no_model_is_refused():
    with pytest.raises(ValueError, match="no predictions"):
        compare_clips({})
