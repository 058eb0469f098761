"""Answers that a writer may give, and the reason where one is refused."""

import json
from dataclasses import replace

import pytest

from mmfusion.questions.clips import Clip
from mmfusion.questions.masking import Masker
from mmfusion.questions.parsing import (
    Maker,
    UnusableAnswerError,
    parse_description,
    parse_questions,
)
from mmfusion.questions.records import QuestionRecord

pytest.importorskip("simplemma")
GOOD = {
    "verb_question": "What does the person do with the plate on the table?",
    "verb_answer": "wash",
    "noun_question": "Which thing does the person wash at this moment?",
    "noun_answer": "plate",
}
TEXT = json.dumps(GOOD)


@pytest.fixture
def clip() -> Clip:
    return Clip("a", "wash plate", "wash", "plate")


def parsed(text: str, clip: Clip) -> QuestionRecord:
    maker = Maker("model", None, "ground_truth")
    return parse_questions(text, clip, maker, Masker())


AROUND = {
    "alone": "{}",
    "fence": "```json\n{}\n```",
    "list": "[{}]",
    "braces behind": "Here you go:\n{}\nI hope that {{helps}}!",
    "braces before": "The {{verb}} and {{noun}}: {}",
    "twice": "{0}\n{0}",
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_the_object_is_found_between_other_words(around: str, clip: Clip) -> None:
    record = parsed(around.format(TEXT), clip)
    assert (
        record.verb_question == "What does the person do with the <mask> on the table?"
    )
    assert record.noun_question == "Which thing does the person <mask> at this moment?"
    assert replace(record, noun_answer=None).verb_answer == "wash"


@pytest.mark.parametrize(
    ("words", "fits"), [(2, False), (3, True), (30, True), (31, False)]
)
def test_a_question_has_3_to_30_words(words: int, fits: bool, clip: Clip) -> None:
    question = " ".join(["Where", *["is"] * (words - 2), "it?"])
    text = json.dumps({**GOOD, "verb_question": question})
    if fits:
        assert parsed(text, clip).verb_question == question
        return
    with pytest.raises(UnusableAnswerError, match="a whole question|at most 30"):
        parsed(text, clip)


@pytest.mark.parametrize(("words", "fits"), [(80, True), (81, False)])
def test_a_description_has_at_most_80_words(words: int, fits: bool) -> None:
    text = " ".join(["the person is here"] * (words // 4) + ["now"] * (words % 4))
    if fits:
        assert parse_description(text) == text
        return
    with pytest.raises(UnusableAnswerError, match="has 81 words; write at most 80"):
        parse_description(text)


@pytest.mark.parametrize(("greek", "fits"), [(1, True), (8, False)])
def test_a_few_foreign_letters_are_english(greek: int, fits: bool, clip: Clip) -> None:
    """A tenth of the letters may be foreign, not a fifth."""
    question = f"What does the person do here with it {chr(945) * greek}?"
    text = json.dumps({**GOOD, "verb_question": question})
    if fits:
        assert parsed(text, clip).verb_question == question
        return
    with pytest.raises(UnusableAnswerError, match="not in English"):
        parsed(text, clip)


REFUSED = {
    "key twice": (TEXT[:-1] + ', "verb_answer": "cut"}', "verb_answer.*twice"),
    "one word": (TEXT.replace(GOOD["verb_question"], "Who?"), "a whole question"),
    "only braces": ("{" * 100_000, "no JSON object"),
    "deep": ('{"a":' * 100_000, "no JSON object"),
    "number": (TEXT.replace('"plate"', "3"), r"\['noun_answer'\] are missing"),
    "derived": (TEXT.replace("on the table", "unwashed"), "answer by the word"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused(text: str, reason: str, clip: Clip) -> None:
    with pytest.raises(UnusableAnswerError, match=reason):
        parsed(text, clip)
