"""Answers of writers on disk, so that nothing is asked twice.

One SQLite file; each answer is its own transaction, synced before the next question
goes out. What is kept is the text as it came: rules for what can be used may change
without asking again.
"""

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmfusion.questions.writers.base import Answer
from mmfusion.utils.errors import InputError
from mmfusion.utils.paths import check_writable_as_file
from mmfusion.utils.schema import shown

_TABLE = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, identity TEXT NOT NULL, prompt_sha256 TEXT,
    asked TEXT NOT NULL, text TEXT NOT NULL, fault TEXT,
    tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL)"""
_COLUMNS = "text, tokens_in, tokens_out, fault"
_PATIENCE = 60.0  # seconds to wait for another process that writes


class AnswerCache:
    """Answers by what was asked of whom; safe for threads and for several processes.

    Args:
        path: file, made if it is not there; ":memory:" keeps nothing.

    Raises:
        ValueError: the file is no such cache.
        NotAFileError: it is a folder, a device or a pipe.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = path
        self._lock = threading.Lock()
        if str(path) != ":memory:":
            check_writable_as_file(path)
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        with self._faults_named():
            self._file = sqlite3.connect(
                path, timeout=_PATIENCE, check_same_thread=False
            )
        try:
            with self._faults_named():
                self._file.execute("PRAGMA synchronous=FULL")
                with self._file:
                    self._file.execute(_TABLE)
                self._file.execute(f"SELECT key, {_COLUMNS} FROM answers LIMIT 1")
        except InputError:
            self._file.close()
            raise

    @contextmanager
    def _faults_named(self) -> Iterator[None]:
        """Turn what SQLite finds wrong with the file into an error that names it."""
        try:
            yield
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise InputError(
                f"{self.path} is no cache of answers ({error}), or damaged; name"
                " another file with --cache, or move this one away"
            ) from error

    def __enter__(self) -> "AnswerCache":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __len__(self) -> int:
        with self._lock, self._faults_named():
            return int(self._file.execute("SELECT COUNT(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def get(self, asked: Sequence[object]) -> Answer | None:
        """The answer to a question that was asked before, or None."""
        key = _key(asked)
        with self._lock, self._faults_named():
            row = self._file.execute(
                f"SELECT {_COLUMNS} FROM answers WHERE key = ?", (key,)
            ).fetchone()
        if row is None:
            return None
        text, tokens_in, tokens_out, fault = row  # SQLite keeps any type anywhere
        counts = (type(tokens_in), type(tokens_out)) == (int, int)
        if not (isinstance(text, str) and isinstance(fault, str | None) and counts):
            raise InputError(
                f"{self.path}: the answer {key} is {shown(row)}; expected {_COLUMNS} as"
                " this program writes them: move the file away"
            )
        return Answer(text, tokens_in, tokens_out, fault)

    def put(
        self,
        asked: Sequence[object],
        answer: Answer,
        *,
        identity: str,
        prompt_sha256: str | None,
    ) -> None:
        """Keep an answer; when this returns, it is on the disk."""
        row = (
            _key(asked),
            identity,
            prompt_sha256,
            json.dumps(asked),
            answer.text,
            answer.fault,
            answer.tokens_in,
            answer.tokens_out,
        )
        with self._lock, self._faults_named(), self._file:
            self._file.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row
            )


def _key(asked: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
