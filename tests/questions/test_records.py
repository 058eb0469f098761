"""The JSON Lines format: what is read back, and what is refused by file and line."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmfusion.questions import (
    QuestionFileError,
    QuestionRecord,
    generic_record,
    load_questions,
    write_questions,
)
from mmfusion.questions.records import MAX_QUESTION_CHARS, format_record


def _line(**changes: object) -> str:
    return json.dumps({**asdict(generic_record("P01_01_0")), **changes})


def _write(folder: Path, *lines: str) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_what_is_written_is_read_in_order(tmp_path: Path) -> None:
    records = [generic_record(f"P01_01_{i}") for i in (3, 1, 2)]
    path = tmp_path / "questions.jsonl"
    write_questions(path, records)
    assert list(load_questions(path).values()) == records
    assert list(load_questions(path)) == ["P01_01_3", "P01_01_1", "P01_01_2"]


def test_emoji_and_right_to_left_text_survive(tmp_path: Path) -> None:
    text = "ماذا يفعل 🍳 <mask>؟"
    path = _write(tmp_path, "\ufeff" + _line(verb_question=text) + "\r", "")
    assert next(iter(load_questions(path).values())).verb_question == text


FAULTS = {
    "no id": (_line(narration_id=None), "a question without an id"),
    "blank id": (_line(narration_id=" "), "a question without an id"),
    "empty question": (_line(noun_question=""), "noun_question is ''; expected"),
    "null question": (_line(verb_question=None), "verb_question is None; expected"),
    "long": (
        _line(verb_question="x" * 100_000),
        "verb_question is 'xx.* at most 2000 ",
    ),
    "source": (_line(source="guess"), "source is 'guess'; expected one of"),
    "number": (_line(model=4), "model is 4; expected one non-empty line"),
    "surrogate": (_line(model="\ud800"), "model is '.ud800'; expected .* Unicode"),
    "NUL": (_line(model="a\0"), "the character U\\+0000"),
    "unknown key": (_line(colour="red"), "the unknown key 'colour'; known"),
    "missing key": ('{"narration_id": "a"}', "lacks the key 'source'; expected one of"),
    "list": ("[]", "it is \\[\\]; expected an object"),
    "half": ('{"narration_id": ', "not valid JSON: Expecting value at column 17"),
    "key twice": ('{"model": 1, "model": 2}', "key 'model' stands twice"),
    "deep": ("[" * 200_000, "nested too deeply"),
    "endless": ('"' + "x" * (1 << 20), "longer than 1048576 bytes"),
}


@pytest.mark.parametrize(("line", "message"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = _write(tmp_path, _line(narration_id="first"), line)
    with pytest.raises(QuestionFileError, match=f"questions.jsonl:2: .*{message}"):
        list(load_questions(path).values())


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(b"\xff{}\n")
    with pytest.raises(
        QuestionFileError, match=":1: not valid JSON: byte 0 is not UTF-8"
    ):
        list(load_questions(path).values())


def test_ids_are_compared_with_the_annotation(tmp_path: Path) -> None:
    path = _write(tmp_path, _line(), _line(narration_id="b"))
    assert set(load_questions(path, known=["b", "P01_01_0", "c"])) == {"b", "P01_01_0"}
    with pytest.raises(
        QuestionFileError, match=":2: 1 questions .* does not have: 'b'"
    ):
        load_questions(path, known=["P01_01_0"])
    with pytest.raises(QuestionFileError, match="1 narration ids .* no question: 'c'"):
        load_questions(path, needed=["b", "c"])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(QuestionFileError, match="none.jsonl: there is no such file"):
        load_questions(tmp_path / "none.jsonl")


def test_two_questions_for_one_id_name_both_lines(tmp_path: Path) -> None:
    path = _write(tmp_path, _line(), _line(narration_id="b"), _line())
    with pytest.raises(QuestionFileError, match=":3: two questions .* is on line 1"):
        load_questions(path)
    with pytest.raises(ValueError, match="two questions for the id 'a'"):
        write_questions(tmp_path / "out.jsonl", [generic_record("a")] * 2)


@given(st.text(min_size=1, max_size=60))
def test_any_text_is_accepted_or_refused_by_name(text: str) -> None:
    record = QuestionRecord(**{**asdict(generic_record("a")), "verb_question": text})
    try:
        line = format_record(record)
    except ValueError as error:
        assert "'a': verb_question" in str(error)
        return
    assert json.loads(line)["verb_question"] == text
    assert len(text) <= MAX_QUESTION_CHARS
    assert line.count("\n") == 1
