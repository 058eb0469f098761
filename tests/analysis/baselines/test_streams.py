import numpy as np
import pytest

from mmfusion.analysis.baselines.streams import STREAMS


def test_a_change_of_brightness_is_no_motion_and_a_moving_square_is():
    motion = STREAMS["video"]
    frames = [np.full((48, 64, 3), 60 + 2 * time, np.uint8) for time in range(17)]
    assert motion.read({"imgs": frames}).max() == 0
    for time, frame in enumerate(frames):
        frame[24:28, 3 * time : 3 * time + 4] = 255
    cells = motion.read({"imgs": frames}).reshape(16, 12, 16)
    assert (cells.sum(axis=(0, 2)).argmax()) == 6  # row of the square
    columns = cells[:, 6].argmax(axis=1)
    assert columns[0] < 3 and columns[-1] > 10


def hand(path, seen):
    """Joints (t, 1, 2, 2) on a path (t, 2), and where they are seen."""
    joints = np.repeat(path[:, None, None], 2, axis=2)
    return joints, np.repeat(np.asarray(seen)[:, None, None], 2, axis=2)


def test_a_gap_is_a_straight_line_and_is_marked():
    line = np.linspace(0, 1, 64)[:, None] * np.array([1.0, 2.0])
    seen = np.ones(64, bool)
    seen[20:40] = False
    jumped = np.where(seen[:, None], line, 9.0)
    paths = STREAMS["skeleton"]
    make = paths.learn([hand(line, np.ones(64, bool))])
    whole, gap = make([hand(line, np.ones(64, bool)), hand(jumped, seen)])
    flags = slice(-16, None)
    np.testing.assert_allclose(whole[: flags.start], gap[: flags.start], atol=1e-9)
    assert whole[flags].all() and gap[flags].sum() == 11


def test_one_hand_under_two_names_is_one():
    rng = np.random.default_rng(0)
    joints = np.repeat(rng.normal(size=(64, 1, 2, 2)), 2, axis=1)
    mask = np.zeros((64, 2, 2), bool)
    mask[::2, 0], mask[1::2, 1] = True, True
    one = joints[:, :1], np.ones((64, 1, 2), bool)
    paths = STREAMS["skeleton"]
    (found,) = paths.learn([(joints, mask)])([(joints, mask)])
    (expected,) = paths.learn([one])([one])
    np.testing.assert_allclose(found, expected)
    both = joints, np.ones((64, 2, 2), bool)
    (two,) = paths.learn([both])([both])
    assert two.size > found.size


def test_words_are_those_of_the_training_clips():
    pytest.importorskip("sklearn", reason="it counts words")
    words = STREAMS["text"]
    text = {"noun_question": "what is cut", "verb_question": "what is done"}
    assert words.read({"text": text}) == "what is cut what is done"
    make = words.learn(["cut the apple", "wash the apple"])
    assert make(["cut", "peel"]).sum(axis=1).tolist() == [1.0, 0.0]
