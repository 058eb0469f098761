"""Questions from templates: offline, the same for the same ids, and many of them.

The words are chosen by the narration id. With ``hint="category"`` a question also says
what group the answer is of (EPIC-KITCHENS' column ``category``), so that it helps; with
``hint="none"`` it does not depend on the label at all.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from math import gcd, prod

from mmfusion.questions.clips import Clip
from mmfusion.questions.masking import AnswerMatcher, Masker
from mmfusion.questions.parsing import matchers_of
from mmfusion.questions.records import MASK
from mmfusion.questions.writers.base import Answer
from mmfusion.utils.errors import InputError

HINTS = ("category", "none")
_VERSION = 1

_SUBJECTS = ("the person", "someone", "the individual", "the participant", "the actor")
_TIMES = (
    "",
    " now",
    " here",
    " at this moment",
    " at this point",
    " in this scene",
    " in these moments",
    " during these seconds",
    " in the given frames",
    " in the meantime",
)
_LEADS = (
    "",
    "Regarding this moment, ",
    "From this viewpoint, ",
    "Thinking of intent, ",
)
_VERB_PATTERNS = (
    "what is {who} doing with the <mask>{when}?",
    "what does {who} do with the <mask>{when}?",
    "which action does {who} perform with the <mask>{when}?",
    "how is {who} interacting with the <mask>{when}?",
    "what happens to the <mask>{when}?",
    "what is being done to the <mask> by {who}{when}?",
    "which activity involves the <mask>{when}?",
    "what is {who} performing on the <mask>{when}?",
    "how does {who} deal with the <mask>{when}?",
    "what is the <mask> going through{when}?",
)
_NOUN_PATTERNS = (
    "which {thing} does {who} <mask>{when}?",
    "what {thing} is {who} going to <mask>{when}?",
    "{who} wants to <mask> which {thing}{when}?",
    "which {thing} does the <mask> action involve{when}?",
    "what is the {thing} that {who} does <mask>{when}?",
    "to which {thing} does the <mask> action apply{when}?",
    "when {who} does <mask>, which {thing} is it about{when}?",
    "what {thing} is subject to the <mask> action{when}?",
    "which {thing} is {who} concerned with in the <mask> action{when}?",
    "which {thing} goes with the <mask> action of {who}{when}?",
)
_THINGS = ("object", "thing", "item")
_AIM_PATTERNS = (
    "the aim is {aim}: {question}",
    "with the aim of {aim}, {question}",
    "considering {aim}, {question}",
)
# EPIC-KITCHENS' groups in words that few of their classes have; the matcher refuses the
# words of the class itself, and another wording is taken
_AIMS = {
    "access": ("gaining access", "reaching the inside", "making available"),
    "block": ("preventing access", "enclosing", "protecting"),
    "clean": ("better hygiene", "purity", "hygienic conditions"),
    "distribute": ("dispersing", "an even layer", "dissemination"),
    "leave": ("parting with it", "depositing", "giving up possession"),
    "manipulate": ("manipulation", "altering a state", "modifying it by force"),
    "merge": ("joining", "uniting", "merging"),
    "monitor": ("supervision", "being informed", "regulation"),
    "order": ("organisation", "neatness", "orderliness"),
    "retrieve": ("obtaining", "acquiring", "gaining possession"),
    "sense": ("perceiving", "a sensation", "sensory contact"),
    "split": ("splitting", "dividing", "fewer parts in one piece"),
    "transition": ("relocation", "changing location", "transport"),
}
_KINDS = {
    "appliances": ("appliance", "device of the household"),
    "baked goods and grains": ("bakery or grain product", "starchy edible"),
    "cleaning equipment and material": ("means of hygiene", "hygiene product"),
    "containers": ("receptacle", "vessel"),
    "cookware": ("cookware item", "vessel for hot meals"),
    "crockery": ("crockery item", "dinnerware item"),
    "cutlery": ("eating implement", "cutlery item"),
    "dairy and eggs": ("dairy or similar product", "animal product"),
    "drinks": ("beverage", "refreshment"),
    "fruits and nuts": ("kind of fruit", "orchard product"),
    "furniture": ("furniture item", "household fixture"),
    "hand": ("body region", "bodily thing"),
    "materials": ("household material", "material"),
    "meat and substitute": ("protein source", "butchery-style product"),
    "other": ("miscellaneous object", "unclassified thing"),
    "prepared food": ("ready meal", "prepared edible"),
    "rubbish": ("refuse", "discarded matter"),
    "spices and herbs and sauces": ("flavouring", "savoury addition"),
    "storage": ("storage unit", "storage place"),
    "utensils": ("tool", "implement"),
    "vegetables": ("kind of plant", "garden produce"),
}


class TemplateWriter:
    """Fills templates; of all wordings it takes one that tells no answer.

    Args:
        masker: knows the forms of every answer.
        hint: one of ``HINTS``.
        seed: another seed, another wording.

    Raises:
        ValueError: ``hint`` is unknown.
    """

    per_clip = True
    keeps_answers = False
    prompt_sha256: str | None

    def __init__(self, masker: Masker, hint: str = "category", seed: int = 0) -> None:
        if hint not in HINTS:
            raise InputError(f"hint is {hint!r}; expected one of {HINTS}")
        self.masker = masker
        self.hint = hint
        self.seed = seed
        self.model = f"template-{_VERSION}"
        self.identity = f"{self.model} hint={hint} seed={seed}"
        self.prompt_sha256 = hashlib.sha256(_all_templates()).hexdigest()

    def describe(self, clip: Clip, problem: str | None, attempt: int) -> Answer:
        """Say the narration as a sentence."""
        return Answer(f"In this clip the person does the following: {clip.narration}.")

    def ask(
        self, clip: Clip, description: str, problem: str | None, attempt: int
    ) -> Answer:
        """Two questions, as JSON."""
        matchers = matchers_of(clip, self.masker)
        content = {
            "verb_question": self._question("verb", clip, matchers),
            "verb_answer": clip.verb,
            "noun_question": self._question("noun", clip, matchers),
            "noun_answer": clip.noun or "",
        }
        return Answer(json.dumps(content))

    def estimate_tokens(self, clip: Clip) -> tuple[int, int]:
        """Nothing is sent anywhere."""
        return 0, 0

    def stop(self) -> None:
        """There is nothing to wait for."""

    def _question(
        self, task: str, clip: Clip, matchers: Mapping[str, AnswerMatcher]
    ) -> str:
        """The first wording without a class word; the last tried if none is."""
        text = ""
        for text in self._wordings(task, clip):
            if not any(matcher.find(text) for matcher in matchers.values()):
                return text
        return text

    def _wordings(self, task: str, clip: Clip) -> Iterator[str]:
        """All wordings, in an order that the narration id gives."""
        hints = self._hints(task, clip)
        patterns = _VERB_PATTERNS if task == "verb" else _NOUN_PATTERNS
        aims: tuple[str, ...] = ("",)
        things: tuple[str, ...] = _THINGS if task == "noun" else ("",)
        if task == "verb" and hints:
            aims = tuple(
                pattern.replace("{aim}", hint)
                for pattern in _AIM_PATTERNS
                for hint in hints
            )
        elif task == "noun" and hints:
            things = hints
        leads = _LEADS if aims == ("",) else ("",)
        axes = (patterns, _SUBJECTS, _TIMES, things, aims, leads)
        for place in _permutation(
            prod(map(len, axes)), f"{self.seed}:{task}:{clip.narration_id}"
        ):
            pattern, who, when, thing, aim, lead = _pick(axes, place)
            text = pattern.format(who=who, when=when, thing=thing)
            text = lead + (aim.replace("{question}", text) if aim else text)
            yield text[0].upper() + text[1:]

    def _hints(self, task: str, clip: Clip) -> tuple[str, ...]:
        number = clip.verb_class if task == "verb" else clip.noun_class
        if self.hint == "none" or number is None:
            return ()
        category = self.masker.vocabulary.classes[task][number].category
        return (_AIMS if task == "verb" else _KINDS).get(category or "", ())


def _permutation(length: int, key: str) -> Iterator[int]:
    """0..length-1, each once, in an order that the key decides."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest())
    start, number = number % length, number // length
    step = 1 + number % length
    while gcd(step, length) != 1:
        step += 1
    return ((start + i * step) % length for i in range(length))


def _pick(axes: tuple[tuple[str, ...], ...], place: int) -> list[str]:
    chosen = []
    for axis in axes:
        place, index = divmod(place, len(axis))
        chosen.append(axis[index])
    return chosen


def _all_templates() -> bytes:
    axes = (_SUBJECTS, _TIMES, _LEADS, _VERB_PATTERNS, _NOUN_PATTERNS, _THINGS)
    return json.dumps([*axes, _AIM_PATTERNS, _AIMS, _KINDS, MASK]).encode()
