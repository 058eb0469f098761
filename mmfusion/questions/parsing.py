"""Rules for an answer of a writer; a reason for each that breaks one."""

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mmfusion.questions.clips import Clip
from mmfusion.questions.forms import english_share
from mmfusion.questions.generic import GENERIC_NOUN_QUESTION
from mmfusion.questions.masking import AnswerMatcher, Masker
from mmfusion.questions.records import QuestionRecord, check_record
from mmfusion.questions.vocabulary import OTHER
from mmfusion.utils.errors import MMFusionError
from mmfusion.utils.text_files import no_key_twice

MIN_QUESTION_WORDS = 3
MAX_QUESTION_WORDS = 30  # 40 tokens are read, and a word is at times two
MAX_DESCRIPTION_WORDS = 80
_MIN_ENGLISH = 0.6
_MAX_BRACES = 100  # places where an object may begin
QUESTION_KEYS = ("verb_question", "verb_answer", "noun_question", "noun_answer")
# what a server is asked to keep to; strict mode wants all keys required
QUESTION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {key: {"type": "string"} for key in QUESTION_KEYS},
    "required": list(QUESTION_KEYS),
    "additionalProperties": False,
}


class UnusableAnswerError(MMFusionError, ValueError):
    """An answer that came and cannot be used; the text tells a writer what to mend."""


@dataclass(frozen=True)
class Maker:
    """Origin of the questions, which stands in every record of a run."""

    model: str
    prompt_sha256: str | None
    source: str


def matchers_of(clip: Clip, masker: Masker) -> dict[str, AnswerMatcher]:
    """By task, the matcher of the clip's answer; no noun, no matcher for it."""
    found = {"verb": masker.matcher("verb", clip.verb, clip.verb_class)}
    if clip.noun is not None:
        found["noun"] = masker.matcher("noun", clip.noun, clip.noun_class)
    return found


def parse_description(text: str) -> str:
    """The description in an answer of stage 1.

    Raises:
        UnusableAnswerError: it is empty, too long, or not English.
    """
    line = " ".join(text.split()).strip("\"'` ")
    if not line:
        raise UnusableAnswerError("the description is empty")
    words = len(line.split())
    if words > MAX_DESCRIPTION_WORDS:
        raise UnusableAnswerError(
            f"the description has {words} words; write at most {MAX_DESCRIPTION_WORDS}"
        )
    _check_english(line, "the description")
    return line


def parse_questions(
    text: str, clip: Clip, maker: Maker, masker: Masker
) -> QuestionRecord:
    """The record in an answer of stage 2: the other head's word masked, no leak.

    The answers are the clip's verb and noun; those in the text are compared with them.

    Raises:
        UnusableAnswerError: it is no JSON object of four texts, a question is empty,
            too short or long, no question or not English, an answer is not the
            clip's, or a question holds its own answer.
    """
    content = _json_object(text)
    names = {"verb": clip.verb, "noun": clip.noun}
    matchers = matchers_of(clip, masker)
    asked = {}
    for task, matcher in matchers.items():
        if not matcher.find(content[f"{task}_answer"]):
            raise UnusableAnswerError(
                f"{task}_answer is {content[f'{task}_answer'][:60]!r}, the {task} is "
                f"{names[task]!r}"
            )
        question = content[f"{task}_question"]
        if OTHER[task] in matchers:
            question = matchers[OTHER[task]].mask(question)
        question = " ".join(question.split())
        _check_question(question, f"{task}_question")
        leaks = matcher.find(question)
        if leaks:
            word = question[leaks[0].start : leaks[0].end]
            raise UnusableAnswerError(
                f"{task}_question tells its own answer by the word {word!r}"
            )
        asked[task] = question
    try:
        return check_record(
            {
                "narration_id": clip.narration_id,
                "source": maker.source,
                "verb_question": asked["verb"],
                "verb_answer": clip.verb,
                "noun_question": asked.get("noun", GENERIC_NOUN_QUESTION),
                "noun_answer": clip.noun,
                "model": maker.model,
                "prompt_sha256": maker.prompt_sha256,
            }
        )
    except ValueError as error:
        raise UnusableAnswerError(str(error)) from None


def _json_object(text: str) -> dict[str, str]:
    """The four texts, from JSON alone, in a code fence, or between other words."""
    content = _first_object(text)
    if content is None:
        raise UnusableAnswerError(
            f"it is no JSON object but {text[:60]!r}; answer with the keys "
            f"{', '.join(QUESTION_KEYS)}"
        )
    missing = [key for key in QUESTION_KEYS if not isinstance(content.get(key), str)]
    if missing:
        raise UnusableAnswerError(f"the keys {missing} are missing or hold no text")
    return content


def _first_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text, whatever stands around it; None without one."""
    decoder = json.JSONDecoder(object_pairs_hook=no_key_twice)
    for match in islice(re.finditer(r"\{", text), _MAX_BRACES):
        try:
            content, _ = decoder.raw_decode(text, match.start())
        except (json.JSONDecodeError, RecursionError):
            continue
        except ValueError as error:
            raise UnusableAnswerError(str(error)) from None
        return content if isinstance(content, dict) else None
    return None


def _check_question(text: str, what: str) -> None:
    if not text:
        raise UnusableAnswerError(f"{what} is empty")
    words = len(text.split())
    if words < MIN_QUESTION_WORDS:
        raise UnusableAnswerError(f"{what} is {text!r}; write a whole question")
    if words > MAX_QUESTION_WORDS:
        raise UnusableAnswerError(
            f"{what} has {words} words; write at most {MAX_QUESTION_WORDS}"
        )
    if not text.endswith("?"):
        raise UnusableAnswerError(f"{what} is no question: it does not end with '?'")
    _check_english(text, what)


def _check_english(text: str, what: str) -> None:
    plain = text.replace("<mask>", " ")
    letters = [char for char in plain if char.isalpha()]
    latin = sum(char.isascii() for char in letters)
    if latin < 0.9 * len(letters) or english_share(plain) < _MIN_ENGLISH:
        raise UnusableAnswerError(f"{what} is not in English")
