"""Questions about the kitchen, and how much each source of them gives away.

    generic       the same for every clip: nothing
    informative   sweet or savoury: the half of the noun that no camera sees, no more
    predicted     worded for what a simulated recogniser says, right RECOGNISER of times
    ground_truth  worded for the label itself: everything (as in the paper)

No question holds its own answer; the word of the other head is `<mask>`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmfusion.questions.generic import generic_record
from mmfusion.questions.records import MASK, SOURCES, QuestionRecord

from .actions import Action
from .kitchen import ACTIONS, CLUES, NOUNS, VERBS, clue, noun_number, verb_number

RECOGNISER = 0.6  # right for the verb and, independently, for the noun; else any other
_MODEL = "tinyego"

_VERB_WORDING = {
    "grab": (
        f"How does the {MASK} come to leave the table?",
        f"What does a hand do to get hold of the {MASK}?",
    ),
    "place": (
        f"How does the {MASK} come to stand on the table again?",
        f"What does a hand do to be rid of the {MASK}?",
    ),
    "open": (
        f"What gives access to the inside of the {MASK}?",
        f"How is the lid of the {MASK} loosened?",
    ),
    "close": (
        f"What keeps the inside of the {MASK} fresh?",
        f"How is the lid of the {MASK} made tight?",
    ),
    "pour": (
        f"How does the {MASK} get into a glass?",
        f"What happens while the {MASK} leans over?",
    ),
    "press": (
        f"What does a palm do on top of the {MASK}?",
        f"How is force put on the {MASK} from above?",
    ),
}
_NOUN_WORDING = {
    "orange juice": (
        f"Which drink made of fruit does the person {MASK}?",
        f"What full of vitamins is it that they {MASK}?",
    ),
    "soup": (
        f"Which hot starter does the person {MASK}?",
        f"What eaten with a spoon is it that they {MASK}?",
    ),
    "syrup": (
        f"Which thick topping of pancakes does the person {MASK}?",
        f"What tapped from maple trees is it that they {MASK}?",
    ),
    "soy sauce": (
        f"Which dark seasoning of sushi does the person {MASK}?",
        f"What brewed from beans is it that they {MASK}?",
    ),
    "biscuit": (
        f"Which baked snack for tea does the person {MASK}?",
        f"What dunked in milk is it that they {MASK}?",
    ),
    "crisp": (
        f"Which thin potato snack does the person {MASK}?",
        f"What crunchy slice from a bag is it that they {MASK}?",
    ),
    "cordial": (
        f"Which concentrate for water does the person {MASK}?",
        f"What diluted before a toast is it that they {MASK}?",
    ),
    "vinegar": (
        f"Which sour dressing of salads does the person {MASK}?",
        f"What acid for pickles is it that they {MASK}?",
    ),
    "custard": (
        f"Which yellow cream on pies does the person {MASK}?",
        f"What stirred from eggs is it that they {MASK}?",
    ),
    "stock": (
        f"Which liquid boiled from bones does the person {MASK}?",
        f"What base of a risotto is it that they {MASK}?",
    ),
    "cereal": (
        f"Which flakes in a breakfast bowl does the person {MASK}?",
        f"What grain at dawn is it that they {MASK}?",
    ),
    "cracker": (
        f"Which dry square under cheese does the person {MASK}?",
        f"What brittle companion of dips is it that they {MASK}?",
    ),
}


def questions_about(
    clips: Sequence[tuple[str, Action]], source: str, seed: Sequence[int]
) -> list[QuestionRecord]:
    """Two questions a clip.

    Args:
        clips: (narration id, what happens).
        source: one of `SOURCES`.
        seed: of the wording, and of what the simulated recogniser gets wrong.
    """
    rng = np.random.default_rng([*seed, 300 + SOURCES.index(source)])
    return [_ask(rng, name, action, source) for name, action in clips]


def _ask(
    rng: np.random.Generator, name: str, action: Action, source: str
) -> QuestionRecord:
    variant, other = rng.integers(2, size=2).tolist()
    if source == "generic":
        return generic_record(name)
    if source == "informative":
        verbs, nouns = _hints(clue(action))
        return _record(
            name,
            source,
            (verbs[variant], action.verb.name),
            (nouns[other], action.noun),
        )
    if source == "predicted":
        action = recognise(rng, action)
    verb, noun = action.verb.name, action.noun
    return _record(
        name,
        source,
        (_VERB_WORDING[verb][variant], verb),
        (_NOUN_WORDING[noun][other], noun),
    )


def _hints(hint: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Informative wordings of the verb's and of the noun's question."""
    return (
        (
            f"What does the person do with the {hint} {MASK}?",
            f"What happens to the {MASK}, which is {hint}?",
        ),
        (
            f"Which {hint} thing does the person {MASK}?",
            f"They {MASK} something {hint}: what is it?",
        ),
    )


def wordings() -> list[str]:
    """Every question that can be asked here; a tokenizer learns from them."""
    fixed = generic_record("any")
    found = [fixed.verb_question, fixed.noun_question]
    for wording in (_VERB_WORDING, _NOUN_WORDING):
        found += [text for texts in wording.values() for text in texts]
    for hint in CLUES:
        found += [text for texts in _hints(hint) for text in texts]
    return found


def recognise(rng: np.random.Generator, action: Action) -> Action:
    """Action that the simulated recogniser takes one for."""
    verb = _right_or_other(rng, verb_number(action), len(VERBS))
    noun = _right_or_other(rng, noun_number(action), len(NOUNS))
    return ACTIONS[len(NOUNS) * verb + noun]


def _right_or_other(rng: np.random.Generator, right: int, count: int) -> int:
    draw, step = rng.random(), int(rng.integers(1, count))
    return right if draw < RECOGNISER else (right + step) % count


def _record(
    name: str, source: str, verb: tuple[str, str], noun: tuple[str, str]
) -> QuestionRecord:
    return QuestionRecord(
        narration_id=name,
        source=source,
        verb_question=verb[0],
        verb_answer=verb[1],
        noun_question=noun[0],
        noun_answer=noun[1],
        model=_MODEL,
        prompt_sha256=None,
    )
