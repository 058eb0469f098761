"""Class words in every form are found and masked; words that look alike are not."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmfusion.layouts.epic_kitchens import natural
from mmfusion.questions import generic_record
from mmfusion.questions.forms import forms, normalise
from mmfusion.questions.masking import AnswerMatcher, Masker
from mmfusion.questions.records import MASK
from tests.questions.ek100_classes import vocabulary_of, write_ek100
from tests.questions.planted_leaks import NOUN_LEAKS, VERB_LEAKS, pairs

pytest.importorskip("simplemma")
KINDS = [("noun", k) for k in NOUN_LEAKS] + [("verb", k) for k in VERB_LEAKS]


@pytest.fixture(scope="session")
def ek100(shared_data: Path) -> Masker:
    folder = shared_data / "ek100"
    return Masker(vocabulary_of(folder))


@pytest.fixture
def masker(tmp_path: Path) -> Masker:
    write_ek100(tmp_path)
    return Masker(vocabulary_of(tmp_path))


def test_there_are_enough_planted_leaks() -> None:
    counts = [len(pairs(text)) for text in {**NOUN_LEAKS, **VERB_LEAKS}.values()]
    assert min(counts) >= 28
    assert sum(counts) >= 200


@pytest.mark.parametrize(("task", "kind"), KINDS, ids=[kind for _, kind in KINDS])
def test_planted_leaks_are_found(ek100: Masker, task: str, kind: str) -> None:
    missed, left = [], []
    for name, leak in pairs((NOUN_LEAKS if task == "noun" else VERB_LEAKS)[kind]):
        question = f"Which thing does the person want with {leak} here?"
        matcher = ek100.matcher(task, name)
        found = matcher.find(question)
        if not found or found[0].start < question.index(leak):
            missed.append((name, leak))
        if matcher.find(matcher.mask(question)):
            left.append((name, leak))
    assert (missed, left) == ([], [])


@pytest.mark.parametrize("shape", ["{}", "{}'s", "the {}-like one"], ids=str)
def test_every_instance_of_every_class_is_found(ek100: Masker, shape: str) -> None:
    missed = []
    for task, classes in ek100.vocabulary.classes.items():
        for number, one in enumerate(classes):
            matcher = ek100.matcher(task, one.key, number)
            for name in one.instances:
                for text in (name, natural(name), natural(name).upper()):
                    question = f"Who goes to {shape.format(text)}?"
                    if MASK not in matcher.mask(question):
                        missed.append((one.key, question))
    assert missed == []


MASKED = {
    "compound": ("board:chopping", "A Chopping-board's edge?", "A <mask>'s edge?"),
    "of": ("tap:water", "Is the flow of the tap on?", "Is the flow of the <mask> on?"),
    "article": ("can", "Is it an empty can?", "Is it an empty <mask>?"),
    "vowel": ("onion", "Who peels an onion?", "Who peels a <mask>?"),
    "modal": ("can", "What can one see? Can you?", "What can one see? Can you?"),
    "inside": ("can", "A toucan scans the canyon?", "A toucan scans the canyon?"),
    "accent": ("puree", "Is PUR\u00c9E there?", "Is <mask> there?"),
    "width": ("tap", "Is \uff34\uff21\uff30 there?", "Is <mask> there?"),
    "hidden": ("tap", "Is a t\u00adap there?", "Is a <mask> there?"),
    "brackets": ("tap", "Who <MASK> it by [MASK]?", "Who <mask> it by <mask>?"),
}


@pytest.mark.parametrize(("noun", "text", "masked"), MASKED.values(), ids=MASKED)
def test_nouns_are_masked_as(masker: Masker, noun: str, text: str, masked: str) -> None:
    assert masker.matcher("noun", noun).mask(text) == masked


VERBS = {
    "particle": ("put-down", "What is put down?", "What is <mask>?"),
    "behind": ("put-down", "Who puts the plate down?", "Who <mask> the plate <mask>?"),
    "preposition": ("take-from", "What is taken from it?", "What is <mask> from it?"),
    "inside": ("put", "Is the computer input here?", "Is the computer input here?"),
    "left": ("put", "What is in the left hand?", "What is in the left hand?"),
    "on": ("turn-on", "Who turned it on and sat?", "Who <mask> it <mask> and sat?"),
    "place": ("put", "Is it replaced?", "Is it replaced?"),
}


@pytest.mark.parametrize(("verb", "text", "masked"), VERBS.values(), ids=VERBS)
def test_verbs_are_masked_as(masker: Masker, verb: str, text: str, masked: str) -> None:
    assert masker.matcher("verb", verb).mask(text) == masked


PARTS = {  # without class files: no instance of a class helps
    "both": ("noun", "chopping board", "Who is <> on the wet <>?", "chopping board"),
    "plural": ("noun", "board:chopping", "Are they <>?", "boards"),
    "derived": ("noun", "oil:olive", "Which <> gives it this <> taste?", "olive oily"),
    "small": ("noun", "slice of bread", "Is one of the <> of this <>?", "slices bread"),
    "verb": ("verb", "turn-on", "Who is <> it around?", "turning"),
}


@pytest.mark.parametrize(
    ("task", "name", "text", "words"), PARTS.values(), ids=[*PARTS]
)
def test_one_word_of_two_tells_the_name(
    task: str, name: str, text: str, words: str
) -> None:
    question = text
    for word in words.split():
        question = question.replace("<>", word, 1)
    matcher = Masker().matcher(task, name)
    assert matcher.mask(question) == text.replace("<>", MASK)
    assert {match.kind for match in matcher.find(question)} == {"part"}


def test_the_particle_and_parts_of_other_names_tell_nothing(masker: Masker) -> None:
    assert Masker().matcher("verb", "put down").find("What is down there?") == []
    cherry = "Is a cherry beside the salad?"
    assert masker.matcher("noun", "tomato").find(cherry) == []
    assert len(masker.matcher("noun", "tomato:cherry").find(cherry)) == 1
    pasta = "At the edge of what is pasta?"  # words of two other names of "plate"
    assert masker.matcher("noun", "plate").find(pasta) == []


def test_a_record_is_searched_for_both_words(masker: Masker) -> None:
    record = replace(
        generic_record("a"),
        verb_question="Who grabs the dishes?",
        verb_answer="take",
        noun_question="Which plate is taken?",
        noun_answer="plate",
    )
    own, other = masker.own_answers(record), masker.unmasked(record)
    assert [m.word for m in own["verb"] + own["noun"]] == ["grab", "plate"]
    assert [m.word for m in other["verb"] + other["noun"]] == ["dish", "take"]
    assert masker.own_answers(generic_record("a")) == {"verb": [], "noun": []}


@given(st.text(max_size=80))
def test_masking_any_text_leaves_nothing_to_mask(text: str) -> None:
    matcher = AnswerMatcher("noun", "board:chopping")
    masked = matcher.mask(f"{text} chopping boards {text}")
    assert "<mask>" in masked
    assert matcher.find(masked) == []
    assert matcher.mask(masked) == masked


def test_forms_are_spelled_as_english_does() -> None:
    expected = {"cut": "cutting", "tie": "tying", "take": "took", "unfreeze": "unfroze"}
    assert all(form in forms(word) for word, form in expected.items())
    assert {"leaves", "drying", "whisked"} <= set(
        forms("leaf") | forms("dry") | forms("whisk")
    )
    assert "taping" not in forms("tap")
    assert normalise("Cr\u00e8me") == "creme"


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="task is 'action'"):
        AnswerMatcher("action", "cut")
    with pytest.raises(ValueError, match="the verb answer is '-'"):
        AnswerMatcher("verb", "-")


@pytest.mark.parametrize("word", ["choppingboard", "boardchopping", "choppingboards"])
def test_a_compound_written_as_one_word_is_masked_in_any_order(word: str) -> None:
    matcher = AnswerMatcher("noun", "board:chopping")
    assert matcher.mask(f"Who took the {word}?") == f"Who took the {MASK}?"
