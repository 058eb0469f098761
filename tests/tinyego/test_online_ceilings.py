"""Best scores of every moment of the kitchen's films."""

import numpy as np
import pytest

from mmfusion.tinyego.kitchen import NOUNS, VERBS
from mmfusion.tinyego.online_ceilings import KnownLook
from mmfusion.utils.errors import InputError

VERB = {verb.name: number for number, verb in enumerate(VERBS)}
NOUN = {noun: number for number, noun in enumerate(NOUNS)}


def segment(start, end, verb, noun):
    return [start, end, {"verb": VERB[verb], "noun": NOUN[noun]}]


def test_the_camera_tells_neither_the_twist_nor_the_content() -> None:
    # 3 s of opening, 1 s of closing; soup and orange juice share the blue carton
    segments = [segment(0, 3, "open", "soup"), segment(4, 5, "close", "orange juice")]
    found = KnownLook(segments, "video").scores(segments, np.array([1.0, 3.5, 4.5]))
    verb, noun = found["verb"], found["noun"]
    np.testing.assert_allclose(
        verb[0, [VERB["open"], VERB["close"]]], [0.75, 0.25], rtol=1e-3
    )
    np.testing.assert_allclose(
        noun[2, [NOUN["soup"], NOUN["orange juice"]]], [0.75, 0.25], rtol=1e-3
    )
    assert verb[:, -1].tolist() == [0, 1, 0]


def test_the_hands_tell_the_verb() -> None:
    segments = [segment(0, 3, "open", "soup"), segment(4, 5, "close", "orange juice")]
    found = KnownLook(segments, "skeleton").scores(segments, np.array([1.0, 4.5]))
    assert found["verb"].argmax(1).tolist() == [VERB["open"], VERB["close"]]
    assert found["action"][:, :-1].max() == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(InputError, match="stream"):
        KnownLook(segments, "smell")


def test_actions_that_look_alike_have_a_random_order() -> None:
    segments = [segment(0, 1, "open", "soup"), segment(2, 3, "close", "soup")]
    firsts = set()
    for seed in range(20):
        known = KnownLook(segments, "video", seed)
        verb = known.scores(segments, np.array([0.5, 2.5]))["verb"]
        firsts.add(int(verb[:, VERB["open"]].argmax()))
    assert firsts == {0, 1}
