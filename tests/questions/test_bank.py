"""Questions by prediction: from training only, and never by the label."""

from dataclasses import replace

import pytest

from mmfusion.questions import QuestionRecord, generic_record
from mmfusion.questions.bank import QuestionBank
from mmfusion.questions.masking import Masker

pytest.importorskip("simplemma")

LABELS = {
    "t0": ("take", "plate"),
    "t1": ("wash", "knife"),
    "t2": ("take", "plate"),
}


def _record(name: str, verb: str, noun: str) -> QuestionRecord:
    return replace(
        generic_record(name),
        source="ground_truth",
        verb_question=f"What happens to the <mask> in {name} near the spoon?",
        verb_answer=verb,
        noun_question=f"Which thing does one <mask> in {name}?",
        noun_answer=noun,
        model="template-1",
    )


@pytest.fixture
def bank() -> QuestionBank:
    records = [_record(name, *pair) for name, pair in LABELS.items()]
    return QuestionBank(records, LABELS, Masker())


def _ask(
    bank: QuestionBank, name: str, verb: str, noun: str, *, leave_out: bool = False
) -> tuple[QuestionRecord, str]:
    return bank.ask(
        name, verb, noun, model="m", prompt_sha256=None, leave_out=leave_out
    )


def test_a_pair_of_training_gets_one_of_its_questions(bank: QuestionBank) -> None:
    found = {_ask(bank, f"v{i}", "take", "plate")[0].verb_question for i in range(20)}
    assert {text.split()[6] for text in found} == {"t0", "t2"}
    record, level = _ask(bank, "v1", "wash", "knife")
    assert level == "pair"
    assert (record.source, record.verb_answer) == ("predicted", "wash")
    assert _ask(bank, "v1", "wash", "knife")[0] == record


LEVELS = {
    "apart": ("take", "knife", "verb and noun apart", "t0t2", "t1"),
    "verb": ("wash", "bin", "verb only", "t1", "Which object is"),
    "noun": ("throw", "knife", "noun only", "What is the person", "t1"),
    "none": ("throw", "bin", "generic", "What is the person", "Which object is"),
}


@pytest.mark.parametrize(("verb", "noun", "level"), [v[:3] for v in LEVELS.values()])
def test_an_unseen_pair_falls_back(
    bank: QuestionBank, verb: str, noun: str, level: str
) -> None:
    record, found = _ask(bank, "v1", verb, noun)
    assert found == level
    assert (record.verb_question == "What is the person doing?") == (verb == "throw")
    assert record.noun_question.startswith("Which object is") == (noun == "bin")


def test_words_of_the_predicted_pair_are_masked(bank: QuestionBank) -> None:
    labels = {**LABELS, "t3": ("take", "spoon")}
    records = [_record(name, *pair) for name, pair in labels.items()]
    record, level = _ask(QuestionBank(records, labels, Masker()), "v", "wash", "spoon")
    assert level == "verb and noun apart"
    assert record.verb_question == "What happens to the <mask> in t1 near the <mask>?"


TELLS = {
    "verb": dict(verb_question="Who takes what, near the <mask>?"),
    "noun": dict(noun_question="Which of the plates does one <mask>?"),
}


@pytest.mark.parametrize("task", TELLS)
def test_a_question_that_tells_the_predicted_word_is_passed_over(task: str) -> None:
    """Of two questions one names its own answer: the other is taken, or none."""
    telling = replace(_record("t0", "take", "plate"), **TELLS[task])
    sound = _record("t2", "take", "plate")
    bank = QuestionBank([telling, sound], LABELS, Masker())
    for number in range(20):
        record, level = _ask(bank, f"v{number}", "take", "plate")
        assert level == "pair" and " t2" in record.question(task)
    alone = QuestionBank([telling, _record("t1", "wash", "knife")], LABELS, Masker())
    record, level = _ask(alone, "v", "take", "plate")
    other = "noun" if task == "verb" else "verb"
    assert level == f"{other} only" and " t0" in record.question(other)
    assert record.question(task) == generic_record("v").question(task)


def test_a_question_that_tells_another_prediction_is_passed_over() -> None:
    """It was sound for its own clip; for the predicted verb it is the answer."""
    records = [
        replace(_record("t0", "take", "plate"), noun_question="Which spoon is <mask>?"),
        _record("t2", "take", "plate"),
    ]
    bank = QuestionBank(records, {**LABELS, "t2": ("take", "spoon")}, Masker())
    record, level = _ask(bank, "v", "take", "spoon")
    assert level == "pair" and " t2" in record.noun_question
    records = [replace(records[0], verb_question="Who is washing at the <mask>?")]
    records += [_record("t1", "wash", "knife")]
    bank = QuestionBank(records, LABELS, Masker())
    record, level = _ask(bank, "v", "wash", "plate")
    assert level == "verb and noun apart"
    assert " t1" in record.verb_question and "spoon" in record.noun_question


def test_a_training_clip_is_asked_another_clips_question(bank: QuestionBank) -> None:
    for name, other in (("t0", "t2"), ("t2", "t0")):
        record, _ = _ask(bank, name, "take", "plate", leave_out=True)
        assert f"in {other} " in record.verb_question
    assert _ask(bank, "t1", "wash", "knife", leave_out=True)[1] == "generic"


def test_a_bank_of_strangers_or_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="'v9' is of no clip of the training"):
        QuestionBank([_record("v9", "take", "plate")], LABELS, Masker())
    with pytest.raises(ValueError, match="the bank is empty"):
        QuestionBank([generic_record("t0")], LABELS, Masker())
