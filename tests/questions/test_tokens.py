"""Words of a question: offsets, and where a name of several words stands."""

import pytest

from mmfusion.questions.tokens import Phrase, places_of, tokens_of

TURN_ON = Phrase(("turn", "on"), "turn-on", ordered=True)
BOARD = Phrase(("board", "chopping"), "board:chopping", ordered=False)


def test_tokens_are_cut_out_of_the_text_by_their_offsets():
    text = "The cook's <mask>, isn't it?"
    tokens = tokens_of(text)
    assert [text[token.start : token.end] for token in tokens] == [
        token.text for token in tokens
    ]
    assert [token.norm for token in tokens] == ["the", "cook", "<mask>", "isn't", "it"]
    assert [token.possessive for token in tokens].index(True) == 1
    assert [token.ends for token in tokens] == [False, False, True, False, True]


@pytest.mark.parametrize(
    ("phrase", "text", "places"),
    [
        (TURN_ON, "turn on the tap", (0, 1)),
        (TURN_ON, "turn the big tap on", (0, 4)),
        (TURN_ON, "turn the tap on the left side", ()),
        (BOARD, "chopping boards lie there", (0, 1)),
        (BOARD, "board for chopping", (0, 2)),
        (BOARD, "chopping on a wide board", ()),
    ],
)
def test_places_of_a_phrase(phrase, text, places):
    assert places_of(phrase, tokens_of(text), 0) == places
