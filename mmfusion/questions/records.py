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
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, BinaryIO

from mmfusion.utils.errors import InputError, MMFusionError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.text_files import no_key_twice

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

    narration_id: str
    source: str
    verb_question: str
    verb_answer: str | None
    noun_question: str
    noun_answer: str | None
    model: str
    prompt_sha256: str | None


FIELDS = tuple(field.name for field in fields(QuestionRecord))
_MAY_BE_NULL = ("verb_answer", "noun_answer", "prompt_sha256")


def check_record(content: Mapping[str, Any]) -> QuestionRecord:
    """Turn one decoded line into a record.

    Raises:
        ValueError: a key is missing or unknown, or a value is not as the module says;
            the message names the key and what came.
    """
    if not isinstance(content, Mapping):
        kind = type(content).__name__
        raise InputError(f"the line is a JSON {kind}; expected an object")
    name = content.get("narration_id")
    if not isinstance(name, str) or not name.strip():
        raise InputError(
            f"a question without an id: narration_id is {_short(name)}; expected the "
            "id of the annotation, a non-empty string"
        )
    missing = [key for key in FIELDS if key not in content]
    unknown = [key for key in content if key not in FIELDS]
    if missing or unknown:
        raise InputError(
            f"{name!r}: missing keys {missing}, unknown keys {unknown}; expected "
            f"exactly {list(FIELDS)}"
        )
    for key in FIELDS:
        _check_text(name, key, content[key])
    if content["source"] not in SOURCES:
        raise InputError(
            f"{name!r}: source is {_short(content['source'])}; expected one of "
            f"{list(SOURCES)}"
        )
    return QuestionRecord(**content)


def _check_text(name: str, key: str, value: object) -> None:
    if value is None and key in _MAY_BE_NULL:
        return
    if not isinstance(value, str) or not value.strip():
        null = " or null" if key in _MAY_BE_NULL else ""
        raise InputError(
            f"{name!r}: {key} is {_short(value)}; expected a non-empty string{null}"
        )
    if len(value) > MAX_QUESTION_CHARS:
        raise InputError(
            f"{name!r}: {key} has {len(value)} characters; expected at most "
            f"{MAX_QUESTION_CHARS}"
        )
    bad = next((c for c in value if ord(c) < 32 or 0xD800 <= ord(c) < 0xE000), None)
    if bad is not None:
        raise InputError(
            f"{name!r}: {key} has the character U+{ord(bad):04X}, which is not text; "
            "expected one line of Unicode"
        )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def read_questions(path: str | os.PathLike) -> Iterator[QuestionRecord]:
    """Read a file line by line; empty lines and a byte order mark do no harm.

    Raises:
        QuestionFileError: there is no such file, a line is no record, or a narration
            id was on an earlier line.
    """
    return (record for _, record in _numbered(path))


def _numbered(path: str | os.PathLike) -> Iterator[tuple[int, QuestionRecord]]:
    """Records with the numbers of their lines."""
    seen: dict[str, int] = {}
    with _open(path) as stream:
        for number, line in enumerate(_lines(stream, path), 1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            try:
                record = check_record(_decode(line))
            except ValueError as error:
                raise QuestionFileError(f"{path}:{number}: {error}") from None
            first = seen.setdefault(record.narration_id, number)
            if first != number:
                raise QuestionFileError(
                    f"{path}:{number}: two questions for the id "
                    f"{record.narration_id!r}; the first is on line {first}. Expected "
                    "one line per id: remove one"
                )
            yield number, record


def _open(path: str | os.PathLike) -> BinaryIO:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise QuestionFileError(
            f"{path}: there is no such file of questions; write it with "
            "tools/questions/generate.py"
        ) from None


def _lines(stream: Any, path: str | os.PathLike) -> Iterator[bytes]:
    """Lines of bounded length: a file without line ends must not fill the memory."""
    number = 0
    while line := stream.readline(_MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > _MAX_LINE_BYTES:
            raise QuestionFileError(
                f"{path}:{number}: the line is longer than {_MAX_LINE_BYTES} bytes; "
                "expected JSON Lines, one object a line"
            )
        yield line


def _decode(line: bytes) -> Any:
    try:
        return json.loads(line.decode().rstrip(), object_pairs_hook=no_key_twice)
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start} of the line") from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"not JSON: {error.msg} at column {error.colno}; expected one object a line"
        ) from None
    except RecursionError:
        raise InputError("not a flat JSON object: it is nested too deeply") from None


def load_questions(
    path: str | os.PathLike,
    *,
    known: Collection[str] | None = None,
    needed: Collection[str] | None = None,
) -> dict[str, QuestionRecord]:
    """Read a whole file and compare its ids with an annotation's.

    Args:
        path: file of questions.
        known: all ids there are; a question for another one is an error.
        needed: ids that must have a question.

    Returns:
        Records by narration id, in the order of the file.

    Raises:
        QuestionFileError: as :func:`read_questions`; an id that is not ``known``; ids
            of ``needed`` without a question.
    """
    records, lines = {}, {}
    for line, record in _numbered(path):
        records[record.narration_id] = record
        lines[record.narration_id] = line
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
        ValueError: a record that :func:`read_questions` would refuse, or an id twice.
    """
    lines: dict[str, str] = {}
    for record in records:
        if record.narration_id in lines:
            raise InputError(f"two questions for the id {record.narration_id!r}")
        lines[record.narration_id] = format_record(record)
    write_atomic(str(path), "".join(lines.values()).encode())
