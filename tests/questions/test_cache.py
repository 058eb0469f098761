"""A damaged file of answers is an error of ours that names it, whatever is damaged."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mmfusion.questions.cache import AnswerCache
from mmfusion.questions.writers.base import Answer
from mmfusion.utils.errors import InputError

ANSWER = Answer("yes " * 1000, 1, 2, None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with AnswerCache(tmp_path / "cache.sqlite") as cache:
        for number in range(12):
            cache.put([number], ANSWER, identity="toy", prompt_sha256=None)
    return tmp_path / "cache.sqlite"


def test_answers_come_back(file: Path) -> None:
    with AnswerCache(file) as cache:
        assert cache.get([7]) == ANSWER and cache.get([12]) is None
        assert len(cache) == 12


def test_a_page_that_is_damaged_later_on_names_the_file(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    fault = pytest.raises(InputError, match="cache.sqlite is no cache of answers")
    with fault, AnswerCache(file) as cache:
        for number in range(12):
            cache.get([number])


@pytest.mark.parametrize(("column", "value"), [("text", b"x"), ("tokens_in", "many")])
def test_a_value_of_another_type_is_named(file: Path, column: str, value) -> None:
    with closing(sqlite3.connect(file)) as base, base:
        base.execute(f"UPDATE answers SET {column} = ?", (value,))
    with (
        AnswerCache(file) as cache,
        pytest.raises(InputError, match="e: the answ"),
    ):
        cache.get([7])


def test_a_folder_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache.sqlite-journal").mkdir()
    (tmp_path / "cache.sqlite").write_bytes(b"x" * 4096)
    with pytest.raises(InputError, match="cache.sqlite is no cache"):
        AnswerCache(tmp_path / "cache.sqlite")
