"""The command itself: kinds of annotation, kills, exit codes."""

import json
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.context import ForkProcess
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from mmfusion.questions import GENERIC_VERB_QUESTION, load_questions
from tests.questions.chat_server import ChatServer
from tests.questions.ek100_classes import write_ek100
from tests.tools.command import run_tool, start_tool

pytest.importorskip("simplemma")
KEY = "sk-0123456789secret"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer().running() as running:
        yield running


def _files(folder: Path) -> list[str]:
    files = ["--annotations", str(folder / "mmfusion/annotation.json")]
    return [*files, "--out", str(folder / "out.jsonl")]


def _run(folder: Path, *arguments: str) -> CompletedProcess:
    given = [*_files(folder), *arguments]
    return run_tool("questions/generate", *given, OPENAI_API_KEY=KEY, COLUMNS="200")


def _server_arguments(server: ChatServer) -> list[str]:
    fixed = ["--writer", "openai", "--model", "m", "--workers", "3"]
    return [*fixed, "--base-url", server.address]


def test_templates_write_the_file_in_the_annotations_order(
    tmp_path: Path,
) -> None:
    write_ek100(tmp_path)
    result = _run(tmp_path)
    assert result.returncode == 0, result.stderr
    records = load_questions(tmp_path / "out.jsonl")
    assert list(records)[:2] == ["P01_01_0", "P01_01_1"]
    assert len(records) == 8
    assert records["P01_01_2"].noun_answer == "chopping board"
    first = (tmp_path / "out.jsonl").read_bytes()
    assert _run(tmp_path).returncode == 0
    assert (tmp_path / "out.jsonl").read_bytes() == first
    assert not list(tmp_path.glob("*.sqlite"))


def test_generic_questions_and_a_limit(tmp_path: Path) -> None:
    write_ek100(tmp_path)
    result = _run(tmp_path, "--source", "generic", "--limit", "3")
    assert result.returncode == 0, result.stderr
    records = load_questions(tmp_path / "out.jsonl")
    assert {r.verb_question for r in records.values()} == {GENERIC_VERB_QUESTION}
    assert len(records) == 3


def test_a_dry_run_says_the_cost_and_asks_nothing(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    write_ek100(tmp_path)
    prices = ["--price-in", "2.5", "--price-out", "10", "--dry-run"]
    result = _run(tmp_path, "--writer", "openai", "--model", "m", *prices)
    assert result.returncode == 0, result.stderr
    assert "8 clips, 7 different: two requests for each" in result.stdout
    assert "at 2.5 and 10.0 a million" in result.stdout
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", *[".csv"] * 3]


def test_wrong_commands_are_one_line(tmp_path: Path) -> None:
    result = _run(tmp_path)
    assert result.returncode == 2
    assert "no such file; write it with tools/data/<dataset>/prep" in result.stderr
    write_ek100(tmp_path)
    result = _run(tmp_path, "--writer", "openai")
    assert result.returncode == 2
    assert "--writer openai needs --model" in result.stderr
    (tmp_path / "out.jsonl.cache.sqlite").write_text("not a cache")
    address = ["--base-url", "http://localhost:1/v1"]
    result = _run(tmp_path, "--writer", "openai", "--model", "m", *address)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_ids_without_an_answer_are_listed_and_explained(
    server: ChatServer, tmp_path: Path
) -> None:
    pytest.importorskip("openai")
    write_ek100(tmp_path)
    server.fault = lambda prompt, n: "leak" if "slice" in prompt else None
    result = _run(tmp_path, *_server_arguments(server))
    assert result.returncode == 1, result.stderr
    assert "7 clips with questions" in result.stdout
    listed = json.loads((tmp_path / "out.jsonl.rejects.jsonl").read_text())
    assert listed["narration_id"] == "P01_01_4"
    assert "tells its own answer by the word 'slice'" in listed["reason"]
    server.fault = lambda prompt, n: None
    result = _run(tmp_path, *_server_arguments(server), "--attempts", "4")
    assert result.returncode == 0, result.stderr
    assert not list(tmp_path.glob("*.rejects.jsonl"))
    assert max(server.answered.values()) == 1


def test_killed_five_times_nothing_is_asked_twice(
    server: ChatServer, tmp_path: Path
) -> None:
    pytest.importorskip("openai")
    write_ek100(tmp_path)
    for allowed in (1, 3, 6, 8, 12):
        server.fault = _hang_after(server, allowed)
        process = _start(tmp_path, *_server_arguments(server))
        _wait(lambda n=allowed: _num_kept(tmp_path) == n)
        process.kill()
        process.join(10)
        assert process.exitcode == -signal.SIGKILL
        assert not (tmp_path / "out.jsonl").exists()
    server.fault = lambda prompt, n: None
    result = _run(tmp_path, *_server_arguments(server))
    assert result.returncode == 0, result.stderr
    assert len(load_questions(tmp_path / "out.jsonl")) == 8
    assert set(server.answered.values()) == {1}
    assert len(server.answered) == 14
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [content for content in files if KEY.encode() in content]
    assert KEY not in result.stdout + result.stderr


def _hang_after(server: ChatServer, allowed: int) -> Callable[[str, int], str | None]:
    """So many answers in all, then none: what is under way at a kill has no answer."""
    granted = sum(server.answered.values())
    lock = threading.Lock()

    def fault(prompt: str, n: int) -> str | None:
        nonlocal granted
        with lock:
            granted += 1
            return None if granted <= allowed else "hang"

    return fault


def _start(folder: Path, *arguments: str) -> ForkProcess:
    given = [*_files(folder), *arguments]
    log = folder / "log.txt"
    return start_tool(log, "questions/generate", *given, OPENAI_API_KEY=KEY)


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _num_kept(folder: Path) -> int:
    path = folder / "out.jsonl.cache.sqlite"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=5)) as file:
        try:
            return int(file.execute("SELECT COUNT(*) FROM answers").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # the table is about to be made


def test_a_polite_stop_keeps_what_is_under_way(
    server: ChatServer, tmp_path: Path
) -> None:
    pytest.importorskip("openai")
    write_ek100(tmp_path)
    server.fault = lambda prompt, n: "slow"
    process = _start(tmp_path, *_server_arguments(server))
    _wait(lambda: sum(server.requests.values()) >= 3)
    process.terminate()
    process.join(30)
    assert process.exitcode == 1
    assert "stopped with" in (tmp_path / "log.txt").read_text()
    assert _run(tmp_path, *_server_arguments(server)).returncode == 0
    assert set(server.requests.values()) == {1}
