"""The words of a question, and where among them a name of several words stands."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from mmfusion.questions import english
from mmfusion.questions.forms import (
    APOSTROPHES,
    INVISIBLE,
    forms,
    lemma,
    normalise,
)

_LETTER = rf"(?:(?![{APOSTROPHES}])[^\W_]|[{INVISIBLE}])"
_TOKEN = re.compile(rf"<mask>|{_LETTER}+(?:[{APOSTROPHES}]{_LETTER}+)*", re.IGNORECASE)


class Token(NamedTuple):
    """One word; offsets of its first character and behind its last one."""

    start: int
    end: int
    text: str  # as written, without a possessive
    norm: str
    possessive: bool
    ends: bool  # punctuation follows


class Phrase(NamedTuple):
    """A name of several words, as the normalised words and as it is written."""

    words: tuple[str, ...]
    name: str
    ordered: bool  # a verb and its particles; else any order counts


def tokens_of(text: str) -> list[Token]:
    """Words of a text with their offsets; a mask is one token, and matches nothing."""
    found = []
    for match in _TOKEN.finditer(text):
        norm = normalise(match.group())
        end = match.end()
        possessive = norm.endswith("'s") or text[end : end + 1] in tuple(APOSTROPHES)
        ends = text[end : end + 1] in tuple(".,;:?!")
        if norm.endswith("'s"):
            norm, end = norm[:-2], end - 2
        shown = text[match.start() : end]
        found.append(Token(match.start(), end, shown, norm, possessive, ends))
    return found


def places_of(phrase: Phrase, tokens: Sequence[Token], place: int) -> tuple[int, ...]:
    """Places of the words of a phrase that begins at ``place``; () if none does.

    >>> tokens = tokens_of("Who turned the big tap on?")
    >>> places_of(Phrase(("turn", "on"), "turn-on", ordered=True), tokens, 1)
    (1, 5)
    """
    return (_verb_places if phrase.ordered else _compound_places)(phrase, tokens, place)


def _verb_places(
    phrase: Phrase, tokens: Sequence[Token], place: int
) -> tuple[int, ...]:
    """Places of a verb and its particles, also behind a short object; () if none."""
    particles = phrase.words[1:]
    follow = tokens[place + 1 : place + 1 + len(particles)]
    if tuple(token.norm for token in follow) == particles:
        return tuple(range(place, place + 1 + len(particles)))
    if len(particles) != 1:
        return ()
    for i in range(place + 2, min(place + 2 + english.LONGEST_OBJECT, len(tokens))):
        if tokens[i].norm == particles[0] and _is_mobile(tokens, i):
            return (place, i)
    return ()


def _is_mobile(tokens: Sequence[Token], place: int) -> bool:
    """True if a word may be the particle of a verb that stands some words before."""
    norm = tokens[place].norm
    if norm in english.MOBILE:
        return True
    if norm not in english.MOBILE_AT_END:
        return False
    if tokens[place].ends or place + 1 == len(tokens):
        return True
    after = tokens[place + 1].norm
    return after in english.AFTER_PARTICLE or after.endswith("ly")


def _compound_places(
    phrase: Phrase, tokens: Sequence[Token], place: int
) -> tuple[int, ...]:
    """Places of all words of a compound side by side, in any order; () if not there."""
    left = list(phrase.words)
    places = []
    i = place
    while left and i < len(tokens):
        norm = tokens[i].norm
        word = next((w for w in left if _is_form(norm, w)), None)
        if word is not None:
            left.remove(word)
            places.append(i)
        elif not places or norm not in english.INSIDE_COMPOUND:
            return ()
        i += 1
    return () if left else tuple(places)


def _is_form(norm: str, word: str) -> bool:
    return norm in forms(word) or lemma(norm) == word


def spans_of(places: Sequence[int], *, ordered: bool) -> list[tuple[int, int]]:
    """(first, last) of what is one name: a compound with its "of", or a verb's parts.

    A particle behind the object is a span of its own.
    """
    if not ordered or places[-1] - places[0] == len(places) - 1:
        return [(places[0], places[-1])]
    return [(place, place) for place in places]


def surface_kind(text: str, token: Token) -> str | None:
    """The kind that the way of writing gives, None for plain lower case."""
    if token.possessive:
        return "possessive"
    before, after = text[: token.start], text[token.end :]
    if re.search(r"\w-$", before[-2:]) or re.match(r"-\w", after):
        return "hyphen"
    if len(token.norm) > 1 and token.text.isupper():
        return "upper case"
    return None


def is_another_word(task: str, tokens: Sequence[Token], place: int) -> bool:
    """True if a word of the same spelling stands here: "can", "left", "has been"."""
    norm = tokens[place].norm
    before = tokens[place - 1].norm if place else ""
    after = tokens[place + 1].norm if place + 1 < len(tokens) else ""
    if task == "noun" and norm == "can" and tokens[place].text in ("can", "Can"):
        if tokens[place].possessive or (place and tokens[place - 1].possessive):
            return False
        return before not in english.BEFORE_A_NOUN and (
            before in english.BEFORE_CAN or after in english.AFTER_CAN
        )
    if task == "verb" and norm == "left":
        return after in english.AFTER_LEFT
    if task == "verb" and norm in english.AUXILIARIES:
        return after in ("been", "to", "just") or after.endswith("ed")
    return False
