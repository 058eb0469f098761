"""The file of questions: JSON Lines, one object a line, keyed by narration id.

    {"narration_id": "P01_11_0", "source": "ground_truth",
     "verb_question": "What does the person do with the <mask>?", "verb_answer": "take",
     "noun_question": "Which object does the person <mask>?", "noun_answer": "plate",
     "model": "template-1", "prompt_sha256": "9f..."}

Both questions are mandatory; an answer, and the hash where no prompt was used, may be
null. The word that a question must not tell is ``<mask>``; the transform that makes
tokens writes the tokenizer's own mask token in its place. Errors name file and line.
"""

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from mmfusion.utils.errors import InputError, MMFusionError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.schema import Schema, rule, shown
from mmfusion.utils.text_files import decode_json, read_raw_lines

MASK = "<mask>"
# how the words came about: what a number measured with them means depends on it
SOURCES = ("generic", "ground_truth", "predicted", "informative")
# "ground_truth" is written from the label of the very clip it is asked about
ORACLE_SOURCES = ("ground_truth",)
MAX_QUESTION_CHARS = 2000  # 40 tokens are read; a longer text is a mistake
_MAX_LINE_BYTES = 1 << 20
_MAX_NAMES_SHOWN = 5


class QuestionFileError(MMFusionError, ValueError):
    """A file of questions that cannot be used; the message names file and line."""


def _text(value: str) -> str:
    bad = next((char for char in value if ord(char) < 32), None)
    if bad is not None:
        raise InputError(f"it has the character U+{ord(bad):04X}")
    if not value.strip():
        raise InputError("it is blank")
    return value


_Line = Annotated[
    str, Field(strict=True, max_length=MAX_QUESTION_CHARS), AfterValidator(_text)
]
_LINE = f"one non-empty line of at most {MAX_QUESTION_CHARS} Unicode characters"
Text = Annotated[_Line, Field(description=_LINE)]
TextOrNull = Annotated[_Line | None, Field(description=f"{_LINE}, or null")]
Source = Annotated[
    Text,
    rule(SOURCES.__contains__, "there is no such source"),
    Field(description=f"one of {list(SOURCES)}"),
]


@dataclass(frozen=True)
class QuestionRecord:
    """The two questions about one clip.

    Attributes:
        narration_id: key of the clip, as in the annotation.
        source: one of ``SOURCES``.
        verb_question: asks for the verb; the noun in it is ``<mask>``.
        verb_answer: the verb, or None where it is not known.
        noun_question: asks for the noun; the verb in it is ``<mask>``.
        noun_answer: the noun, or None.
        model: who wrote the questions.
        prompt_sha256: 64 hexadecimal digits over the prompts' text, or None.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    narration_id: Text
    source: Source
    verb_question: Text
    verb_answer: TextOrNull
    noun_question: Text
    noun_answer: TextOrNull
    model: Text
    prompt_sha256: TextOrNull

    def question(self, task: str) -> str:
        """The question of ``verb`` or ``noun``."""
        return self.verb_question if task == "verb" else self.noun_question

    def answer(self, task: str) -> str | None:
        """Its answer, None where it is not known."""
        return self.verb_answer if task == "verb" else self.noun_answer


_SCHEMA = Schema(QuestionRecord)


def check_record(content: Any) -> QuestionRecord:
    """Turn one decoded line into a record.

    Raises:
        ValueError: a key is missing or unknown, or a value is not as the module says;
            the message names the id, the key and what came.
    """
    try:
        return _SCHEMA.check(content)
    except ValueError as error:
        name = content.get("narration_id") if isinstance(content, Mapping) else "?"
        named = isinstance(name, str) and name.strip()
        whose = f"id {shown(name)}" if named else "a question without an id"
        raise InputError(f"{whose}: {error}") from None


def load_questions(
    path: str | os.PathLike,
    *,
    known: Collection[str] | None = None,
    needed: Collection[str] | None = None,
) -> dict[str, QuestionRecord]:
    """Read a file and compare its ids with an annotation's.

    Empty lines and a byte order mark do no harm.

    Args:
        path: file of questions.
        known: all ids there are; a question for another one is an error.
        needed: ids that must have a question.

    Returns:
        Records by narration id, in the order of the file.

    Raises:
        QuestionFileError: there is no such file, a line is no record, a narration id
            is on two lines or not ``known``; ids of ``needed`` without a question.
    """
    records: dict[str, QuestionRecord] = {}
    lines: dict[str, int] = {}
    if not Path(path).exists():
        raise QuestionFileError(
            f"{path}: there is no such file of questions; write it with "
            "tools/questions/generate.py"
        )
    lines_of_file = read_raw_lines(
        path, max_bytes=_MAX_LINE_BYTES, error_type=QuestionFileError
    )
    for number, line in lines_of_file:
        try:
            record = check_record(decode_json(line))
            first = lines.setdefault(record.narration_id, number)
            if first != number:
                raise InputError(
                    f"two questions for the id {record.narration_id!r}; the first is "
                    f"on line {first}. Expected one line per id: remove one"
                )
        except ValueError as error:
            raise QuestionFileError(f"{path}:{number}: {error}") from None
        records[record.narration_id] = record
    wanted = records.keys() if known is None else frozenset(known)
    unknown = [name for name in records if name not in wanted]
    if unknown:
        raise QuestionFileError(
            f"{path}:{lines[unknown[0]]}: {len(unknown)} questions for narration ids "
            f"that the annotation does not have: {_some(unknown)}. Is it the file of "
            "another split or dataset?"
        )
    missing = [name for name in needed or () if name not in records]
    if missing:
        raise QuestionFileError(
            f"{path}: {len(missing)} narration ids of the annotation have no question: "
            f"{_some(missing)}. Write them with tools/questions/generate.py"
        )
    return records


def _some(names: list[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(map(repr, names[:_MAX_NAMES_SHOWN]))
    more = len(names) - _MAX_NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def format_record(record: QuestionRecord) -> str:
    """The record as one line of the file, with its line end."""
    check_record(asdict(record))
    return json.dumps(asdict(record), ensure_ascii=False) + "\n"


def write_questions(path: str | os.PathLike, records: Iterable[QuestionRecord]) -> None:
    """Write a file of questions, whole or not at all, in the order given.

    Raises:
        ValueError: a record that :func:`load_questions` would refuse, or an id twice.
    """
    lines: dict[str, str] = {}
    for record in records:
        if record.narration_id in lines:
            raise InputError(f"two questions for the id {record.narration_id!r}")
        lines[record.narration_id] = format_record(record)
    write_atomic(str(path), "".join(lines.values()).encode())
