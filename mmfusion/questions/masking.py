"""Keep answers out of questions: find a class word in any form, and mask it.

A question about the verb must not name the noun, which the other head is to tell, and
the other way round (paper B, section 4.1): there the word becomes ``<mask>``. Nor may
a question hold its own answer. A word stands for a class if it is a form of the answer,
of the key or of any instance of the class; of a compound ("board:chopping") also its
parts, if it is the answer or the key.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmfusion.questions import english
from mmfusion.questions.forms import derived, forms, lemma
from mmfusion.questions.records import MASK, QuestionRecord
from mmfusion.questions.tokens import (
    Phrase,
    Token,
    is_another_word,
    places_of,
    spans_of,
    surface_kind,
    tokens_of,
)
from mmfusion.questions.vocabulary import (
    OTHER,
    TASKS,
    Vocabulary,
    WordClass,
    words_of,
)
from mmfusion.utils.errors import InputError

_ANY_MASK = re.compile(r"<\s*mask\s*>|\[\s*mask\s*\]", re.IGNORECASE)
_AN_MASK = re.compile(r"\b([Aa])n(?=\s+<mask>)")


@dataclass(frozen=True)
class Match:
    """A class word in a text.

    Attributes:
        start: offset of its first character.
        end: offset behind its last character.
        kind: how it differs from the answer: "same", "plural" (any -s), "-ing",
            "past tense", "other form", "derived" ("salty", "removal"), "synonym",
            "part", "compound", "hyphen", "possessive" or "upper case"; the first that
            fits, from the right.
        word: the name in the class of which it is a form.
    """

    start: int
    end: int
    kind: str
    word: str


class AnswerMatcher:
    """Finds every form of one answer and of the names of its class.

    Args:
        task: ``"verb"`` or ``"noun"``.
        answer: the name in question, as the dataset writes it or in plain English.
        classes: the classes to which it belongs; none where there is no class file.
    """

    def __init__(
        self, task: str, answer: str, classes: Sequence[WordClass] = ()
    ) -> None:
        if task not in TASKS:
            raise InputError(f"task is {task!r}; expected one of {TASKS}")
        if not words_of(answer):
            raise InputError(f"the {task} answer is {answer!r}; it has no word")
        self.task = task
        self._singles: dict[str, tuple[str, str]] = {}  # form: (kind, name)
        self._bases: dict[str, str] = {}  # dictionary word: name
        self._phrases: dict[str, list[Phrase]] = {}  # form of a word: phrases
        main = [answer, *(word_class.key for word_class in classes)]
        others = [name for word_class in classes for name in word_class.instances]
        self._main = frozenset(main)
        for name in main:
            self._add(name, "same")
        for name in main:
            self._add_parts(name)
        for name in dict.fromkeys([*others, *_also_called([*main, *others])]):
            self._add(name, "synonym")

    def _add(self, name: str, kind: str) -> None:
        words = words_of(name)
        if len(words) == 1:
            self._add_single(words[0], name, kind)
            return
        self._add_phrase(Phrase(words, name, ordered=self.task == "verb"))
        orders = [words, words[1:] + words[:1], words[::-1]]
        for joined in {"".join(order) for order in orders}:
            self._add_single(joined, name, "compound")

    def _add_single(self, word: str, name: str, kind: str) -> None:
        for form, form_kind in forms(word).items():
            shown = form_kind if kind == "same" else kind
            self._singles.setdefault(form, (shown, name))
        for made in derived(word, self.task) if kind != "compound" else ():
            shown = "derived" if kind == "same" else kind
            for form in forms(made):
                self._singles.setdefault(form, (shown, name))
        self._bases.setdefault(word, name)
        if word.endswith("s") and lemma(word) != word:  # "tongs" is told by "tong"
            self._add_single(lemma(word), name, kind)

    def _add_parts(self, name: str) -> None:
        """Of a compound noun every word tells it, of a phrasal verb the verb does."""
        words = words_of(name)
        if len(words) > 1:
            parts = words if self.task == "noun" else words[:1]
            for word in parts:
                if word not in english.SMALL_WORDS:
                    self._add_single(word, name, "part")

    def _add_phrase(self, phrase: Phrase) -> None:
        for word in set(phrase.words[:1] if phrase.ordered else phrase.words):
            for form in forms(word):
                self._phrases.setdefault(form, []).append(phrase)

    def find(self, text: str) -> list[Match]:
        """Every place where the answer or its class is named, in order, no overlaps."""
        tokens = tokens_of(text)
        taken: set[int] = set()
        found: list[Match] = []
        for place in range(len(tokens)):
            if place not in taken:
                self._find_phrase(text, tokens, place, taken, found)
        for place, token in enumerate(tokens):
            if place not in taken:
                hit = self._single(tokens, place)
                if hit is not None:
                    kind = surface_kind(text, token) or hit[0]
                    found.append(Match(token.start, token.end, kind, hit[1]))
        return sorted(found, key=lambda match: match.start)

    def _single(self, tokens: Sequence[Token], place: int) -> tuple[str, str] | None:
        norm = tokens[place].norm
        hit = self._singles.get(norm)
        if hit is None and tokens[place].text != MASK:
            name = self._bases.get(lemma(norm))
            hit = None if name is None else ("other form", name)
        if hit is None or is_another_word(self.task, tokens, place):
            return None
        return hit

    def _find_phrase(
        self,
        text: str,
        tokens: Sequence[Token],
        place: int,
        taken: set[int],
        found: list[Match],
    ) -> None:
        """Add the longest phrase that begins at ``place``, if there is one."""
        norm = tokens[place].norm
        best: tuple[int, ...] = ()
        name = ""
        for phrase in self._phrases.get(norm) or self._phrases.get(lemma(norm)) or ():
            if self._verb_alone_tells(phrase):
                continue
            places = places_of(phrase, tokens, place)
            if len(places) > len(best):
                best, name = places, phrase.name
        if not best or taken.intersection(best):
            return
        taken.update(range(best[0], best[-1] + 1) if self.task == "noun" else best)
        for start, end in spans_of(best, ordered=self.task == "verb"):
            span = text[tokens[start].start : tokens[end].end]
            kind = "hyphen" if "-" in span else "compound"
            found.append(Match(tokens[start].start, tokens[end].end, kind, name))

    def _verb_alone_tells(self, phrase: Phrase) -> bool:
        """True if only the verb is to be found: "take from" leaves its preposition."""
        if not phrase.ordered or phrase.words[0] not in self._singles:
            return False
        particle = phrase.words[1]
        if phrase.name in self._main and particle in english.MOBILE_AT_END:
            return False  # "turn on" is not "turn off"
        return particle not in english.MOBILE

    def mask(self, text: str) -> str:
        """``text`` with ``<mask>`` for each match; "an <mask>" would tell a vowel."""
        text = _ANY_MASK.sub(MASK, text)
        for match in reversed(self.find(text)):
            text = text[: match.start] + MASK + text[match.end :]
        return _AN_MASK.sub(r"\1", text)


def _also_called(names: Iterable[str]) -> list[str]:
    plain = {" ".join(words[1:] + words[:1]) for words in map(words_of, names)}
    plain |= {" ".join(words_of(name)) for name in names}
    return [
        other for name in sorted(plain) for other in english.ELSEWHERE.get(name, ())
    ]


class Masker:
    """Matchers for the answers of one dataset, each made once.

    Args:
        vocabulary: its classes; without one an answer stands for itself alone.

    Example:
        >>> masker = Masker(Vocabulary.of_names(["take"], ["board:chopping"]))
        >>> masker.matcher("noun", "board:chopping").mask("Who took a chopping board?")
        'Who took a <mask>?'
    """

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        self.vocabulary = vocabulary or Vocabulary((), ())
        self._matchers: dict[tuple[str, str, int | None], AnswerMatcher] = {}

    def matcher(
        self, task: str, answer: str, class_id: int | None = None
    ) -> AnswerMatcher:
        """The matcher of an answer.

        Args:
            task: ``"verb"`` or ``"noun"``.
            answer: name of the verb or noun.
            class_id: its class, besides all classes that have the name.
        """
        key = (task, answer, class_id)
        if key not in self._matchers:
            table = self.vocabulary.classes[task]
            found = dict.fromkeys(self.vocabulary.find(task, answer))
            if class_id is not None:
                found = {class_id: None} | found
            classes = [table[number] for number in found]
            self._matchers[key] = AnswerMatcher(task, answer, classes)
        return self._matchers[key]

    def own_answers(self, record: QuestionRecord) -> dict[str, list[Match]]:
        """By task, places where a question holds its own answer: each is a leak."""
        return {task: self._find(record, task, task) for task in TASKS}

    def unmasked(self, record: QuestionRecord) -> dict[str, list[Match]]:
        """By task of the question, places where it holds the other head's word."""
        return {task: self._find(record, task, OTHER[task]) for task in TASKS}

    def _find(self, record: QuestionRecord, task: str, told: str) -> list[Match]:
        """Places of the answer of ``told`` in the question of ``task``."""
        answer = record.answer(told)
        if answer is None:
            return []
        return self.matcher(told, answer).find(record.question(task))
