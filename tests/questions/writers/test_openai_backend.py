"""Against a server on this machine that fails in every way a server can."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from mmfusion.questions.cache import AnswerCache
from mmfusion.questions.clips import Clip
from mmfusion.questions.generation import Generation, Outcome
from mmfusion.questions.masking import Masker
from mmfusion.questions.writers import (
    NoAnswerError,
    OpenAIBackend,
    Pacer,
    PromptedWriter,
    Prompts,
    WriterDownError,
)
from tests.questions.chat_server import SPOILED, ChatServer
from tests.questions.ek100_classes import read_ek100, vocabulary_of, write_ek100

openai = pytest.importorskip("openai")
pytest.importorskip("simplemma")

KEY = "sk-0123456789secret"
PASSING = ("500", "503", "429", "cut", "broken body", "other protocol", "timeout")
UNUSABLE = ("language", "leak", "wrong answer", "refusal", "cut short", *SPOILED)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client waits 10 ms before its first repetition, not 500."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer().running() as running:
        yield running


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    return read_ek100(write_ek100(tmp_path))


def _backend(server: ChatServer, **options: object) -> OpenAIBackend:
    given = {"key": KEY, "base_url": server.address, "timeout": 0.4, "retries": 2}
    given |= options
    return OpenAIBackend("test-model", **given)  # type: ignore[arg-type]


def _run(
    server: ChatServer, clips: list[Clip], folder: Path, **options: object
) -> Outcome:
    writer = PromptedWriter(_backend(server, **options), Prompts.read())
    with AnswerCache(folder / "cache.sqlite") as cache:
        masker = Masker(vocabulary_of(folder))
        return Generation(writer, masker, cache, num_workers=4).run(clips)


def test_questions_of_a_good_server_are_masked(
    server: ChatServer, clips: list[Clip], tmp_path: Path
) -> None:
    outcome = _run(server, clips, tmp_path)
    assert outcome.rejects == []
    assert [r.narration_id for r in outcome.records] == [c.narration_id for c in clips]
    third = outcome.records[2]
    assert (
        third.verb_question
        == "What does the person do with the <mask> on the far side?"
    )
    assert third.noun_question == "Which object does the person <mask> at this moment?"
    assert (third.verb_answer, third.noun_answer) == ("wash", "chopping board")
    assert third.model == "openai:test-model"
    assert third.prompt_sha256 == Prompts.read().sha256


def test_clips_that_ask_the_same_are_asked_once(
    server: ChatServer, clips: list[Clip], tmp_path: Path
) -> None:
    first = _run(server, clips, tmp_path)
    assert len(server.requests) == 2 * 7  # eight clips, two say "take plate"
    assert _run(server, clips, tmp_path) == first
    assert set(server.requests.values()) == {1}


@pytest.mark.parametrize("fault", PASSING)
def test_what_fails_in_passing_is_repeated(
    server: ChatServer, clips: list[Clip], tmp_path: Path, fault: str
) -> None:
    server.fault = lambda prompt, n: fault if n == 0 else None
    outcome = _run(server, clips[:2], tmp_path)
    assert len(outcome.records) == 2
    assert set(server.requests.values()) == {2}
    assert set(server.answered.values()) == {1}


@pytest.mark.parametrize("fault", UNUSABLE)
def test_an_unusable_answer_is_asked_again_with_the_reason(
    server: ChatServer, clips: list[Clip], tmp_path: Path, fault: str
) -> None:
    server.fault = _at_first(lambda prompt: "verb_question" in prompt, fault)
    outcome = _run(server, clips[:2], tmp_path)
    assert len(outcome.records) == 2
    again = [p for p in server.requests if "could not be used" in p]
    assert len(again) == 2
    assert len(server.requests) == 6


def _at_first(
    concerns: Callable[[str], bool], fault: str
) -> Callable[[str, int], str | None]:
    return lambda prompt, n: (
        fault if concerns(prompt) and "could not be used" not in prompt else None
    )


@pytest.mark.parametrize("fault", [*PASSING[:4], *UNUSABLE, "400", "echo"])
def test_what_never_succeeds_is_listed_with_its_reason(
    server: ChatServer, clips: list[Clip], tmp_path: Path, fault: str
) -> None:
    server.fault = lambda prompt, n: fault if "slice" in prompt else None
    outcome = _run(server, clips, tmp_path)
    assert [r.narration_id for r in outcome.rejects] == ["P01_01_4"]
    assert len(outcome.records) == len(clips) - 1
    assert outcome.rejects[0].reason
    assert KEY not in json.dumps([asdict(r) for r in outcome.rejects])


def test_every_fault_in_turn_loses_no_id(
    server: ChatServer, clips: list[Clip], tmp_path: Path
) -> None:
    faults = ["500", "cut", *UNUSABLE, "429", "broken body", "echo"]
    server.fault = lambda prompt, n: (
        faults[(len(prompt) * 7 + len(server.times)) % (2 * len(faults)) - len(faults)]
        if len(server.times) % 2
        else None
    )
    outcome = _run(server, clips, tmp_path, retries=1)
    found = [r.narration_id for r in [*outcome.records, *outcome.rejects]]
    assert sorted(found) == sorted(clip.narration_id for clip in clips)
    masker = Masker(vocabulary_of(tmp_path))
    for record in outcome.records:
        assert not any([*masker.own_answers(record).values()])
        assert not any([*masker.unmasked(record).values()])


@pytest.mark.parametrize("code", ["401", "403", "404"])
def test_a_server_that_refuses_all_is_asked_once(
    server: ChatServer, clips: list[Clip], tmp_path: Path, code: str
) -> None:
    server.fault = lambda prompt, n: code
    with pytest.raises(WriterDownError, match="refuses every request") as caught:
        _run(server, clips, tmp_path)
    assert KEY not in str(caught.value)
    assert sum(server.requests.values()) <= 4  # the workers


def test_a_dead_server_ends_the_run(clips: list[Clip], tmp_path: Path) -> None:
    server = ChatServer()
    server.address = "http://127.0.0.1:9/v1"
    writer = PromptedWriter(_backend(server, retries=0), Prompts.read())
    with AnswerCache(tmp_path / "cache.sqlite") as cache:
        masker = Masker(vocabulary_of(tmp_path))
        run = Generation(writer, masker, cache, max_failures=3)
        with pytest.raises(WriterDownError, match="3 requests in a row"):
            run.run(clips)


def test_retry_after_holds_back_every_thread(
    server: ChatServer, clips: list[Clip], tmp_path: Path
) -> None:
    server.fault = lambda prompt, n: "429" if len(server.times) == 1 else None
    _run(server, clips[:3], tmp_path)
    first, *_, last = sorted(server.times)
    late = [t for t in server.times if t > first + 0.29]
    assert len(server.times) == 7
    assert len(late) >= 4
    assert last > first + 0.29


def test_the_rate_is_kept(
    server: ChatServer, clips: list[Clip], tmp_path: Path
) -> None:
    pacer = Pacer(requests_per_minute=1200)  # one each 50 ms
    _run(server, clips[:3], tmp_path, pacer=pacer)
    times = sorted(server.times)
    assert len(times) == 6
    assert times[-1] - times[0] > 0.15  # 0.25 less what a busy machine held back


def test_a_stop_ends_the_waiting(server: ChatServer) -> None:
    backend = _backend(server)
    backend.stop()
    server.fault = lambda prompt, n: "500"
    with pytest.raises(NoAnswerError, match="stopped"):
        backend.complete([{"role": "user", "content": "verb: a\nnoun: b"}], None, 0)


def test_what_is_sent(server: ChatServer, clips: list[Clip], tmp_path: Path) -> None:
    _run(server, clips[:1], tmp_path, temperature=0.5, max_tokens=77)
    first, second = server.bodies
    assert "response_format" not in first
    assert second["response_format"]["json_schema"]["strict"] is True
    assert (second["temperature"], second["max_tokens"]) == (0.5, 77)
    assert server.keys == {KEY}


def test_the_key_is_in_no_file_and_no_log(
    server: ChatServer,
    clips: list[Clip],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server.fault = lambda prompt, n: (
        "echo" if "slice" in prompt else "500" if n == 0 else None
    )
    _run(server, clips, tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "cache.sqlite" for path in files)
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in caplog.text
    assert KEY not in "".join(capfd.readouterr())
    assert KEY not in repr(_backend(server))


def test_no_part_of_the_key_is_in_an_error_that_is_cut_short() -> None:
    backend = OpenAIBackend("m", key=KEY, base_url="http://localhost:1/v1")
    for length in range(200, 300, 5):  # the limit falls into the key
        error = openai.OpenAIError("x" * length + KEY)
        client = SimpleNamespace(create=Mock(side_effect=error))
        backend._client = SimpleNamespace(chat=SimpleNamespace(completions=client))
        with pytest.raises(NoAnswerError) as caught:
            backend.complete([], None, 0)
        assert KEY[:3] not in str(caught.value)


def test_a_missing_key_and_bad_addresses_are_refused() -> None:
    with pytest.raises(ValueError, match="variable MY_KEY is not set.*export MY_KEY"):
        OpenAIBackend("m", key=None, key_name="MY_KEY")
    with pytest.raises(ValueError, match="base_url is 'localhost'"):
        OpenAIBackend("m", key=None, base_url="localhost")
    with pytest.raises(ValueError, match="holds a user name or password") as caught:
        OpenAIBackend("m", key=None, base_url="http://me:secret@host/v1")
    assert "secret" not in str(caught.value)
    OpenAIBackend("m", key=None, base_url="http://localhost:1/v1")


@pytest.mark.parametrize("wait", ["1000", "121.5"])
def test_a_long_wait_ends_the_run(
    server: ChatServer, clips: list[Clip], tmp_path: Path, wait: str
) -> None:
    server.fault, server.retry_after = lambda prompt, n: "429", wait
    with pytest.raises(WriterDownError, match=f"asks to wait {float(wait):.0f} sec"):
        _run(server, clips, tmp_path)
    assert sum(server.requests.values()) <= 4  # the workers


def test_a_date_to_retry_after_is_kept(
    server: ChatServer, clips: list[Clip], tmp_path: Path
) -> None:
    server.retry_after = formatdate(time.time() + 1.5, usegmt=True)
    server.fault = lambda prompt, n: "429" if len(server.times) == 1 else None
    outcome = _run(server, clips[:1], tmp_path)
    assert len(outcome.records) == 1
    assert server.times[1] - server.times[0] > 0.4
