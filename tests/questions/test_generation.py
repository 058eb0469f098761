"""The engine without a server: what is asked, kept, repeated and listed."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmfusion.questions.cache import AnswerCache
from mmfusion.questions.clips import Clip
from mmfusion.questions.generation import Generation, StoppedError
from mmfusion.questions.masking import Masker
from mmfusion.questions.writers import Answer, NoAnswerError, WriterDownError

pytest.importorskip("simplemma")


class FakeWriter:
    """Says what it is told to, and remembers what it was asked."""

    model, identity, prompt_sha256 = "fake", "fake", "0" * 64
    per_clip = False
    keeps_answers = True

    def __init__(self) -> None:
        self.asked: list[tuple] = []
        self.bad: list[str] = []  # said before the good answer
        self.fails = False
        self.told = ""

    def describe(self, clip: Clip, problem: str | None, attempt: int) -> Answer:
        self.asked.append(("description", clip.narration, problem))
        if self.fails:
            raise NoAnswerError("nobody is there")
        return Answer(f"The person does {self.told or clip.narration}.", 10, 5)

    def ask(
        self, clip: Clip, description: str, problem: str | None, attempt: int
    ) -> Answer:
        self.asked.append(("questions", description, problem))
        if self.bad:
            return Answer(self.bad.pop(0))
        content = {
            "verb_question": "What happens to the cups here?",
            "verb_answer": clip.verb,
            "noun_question": "Which of these things is being washed?",
            "noun_answer": clip.noun,
        }
        return Answer(json.dumps(content), 20, 15)

    def estimate_tokens(self, clip: Clip) -> tuple[int, int]:
        return 1, 1

    def stop(self) -> None:
        """Nothing waits."""


CLIPS = [Clip(name, "wash cup", "wash", "cup") for name in "abc"]


_OPEN: list[AnswerCache] = []


@pytest.fixture(autouse=True)
def _close_caches() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


def _generation(
    writer: FakeWriter, path: Path | str = ":memory:", **options: int
) -> Generation:
    _OPEN.append(AnswerCache(path))
    return Generation(writer, Masker(), _OPEN[-1], **options)


def test_equal_clips_are_asked_once_and_get_their_own_records() -> None:
    writer = FakeWriter()
    outcome = _generation(writer).run(CLIPS)
    assert [record.narration_id for record in outcome.records] == ["a", "b", "c"]
    assert outcome.records[1].verb_question == "What happens to the <mask> here?"
    assert outcome.records[1].noun_question == "Which of these things is being <mask>?"
    assert len(writer.asked) == 2


def test_equal_descriptions_are_asked_about_once() -> None:
    writer = FakeWriter()
    writer.told = "the same for all"
    clips = [Clip(str(i), f"wash cup {i}", "wash", "cup") for i in range(20)]
    assert len(_generation(writer, num_workers=4).run(clips).records) == 20
    assert len(writer.asked) == 21


def test_variants_are_asked_apart() -> None:
    writer = FakeWriter()
    run = _generation(writer, num_variants=2)
    assert sorted(map(len, run.jobs(CLIPS).values())) == [1, 2]
    run.run(CLIPS)
    assert len(writer.asked) == 4


def test_a_refused_answer_is_repeated_with_its_reason_and_kept(tmp_path: Path) -> None:
    writer = FakeWriter()
    writer.bad = ["no json"]
    path = tmp_path / "cache.sqlite"
    assert _generation(writer, path).run(CLIPS).rejects == []
    problems = [problem for stage, _, problem in writer.asked if stage == "questions"]
    assert problems[0] is None
    assert "it is no JSON object but 'no json'" in problems[1]
    assert _generation(writer, path).run(CLIPS).rejects == []
    assert len(writer.asked) == 3
    assert len(_OPEN[-1]) == 3


def test_after_all_attempts_a_clip_is_listed() -> None:
    writer = FakeWriter()
    writer.bad = ["no json"] * 9
    outcome = _generation(writer, num_attempts=2).run(CLIPS)
    assert outcome.records == []
    assert [one.narration_id for one in outcome.rejects] == ["a", "b", "c"]
    assert outcome.rejects[0].attempts == 2
    assert outcome.rejects[0].answer == "no json"


def test_failures_in_a_row_end_the_run() -> None:
    writer = FakeWriter()
    writer.fails = True
    clips = [Clip(str(i), f"wash {i}", "wash", "cup") for i in range(9)]
    with pytest.raises(WriterDownError, match="3 requests in a row.*nobody is there"):
        _generation(writer, max_failures=3).run(clips)
    assert len(writer.asked) == 3


def test_failures_with_answers_between_them_end_no_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer = FakeWriter()
    describe = writer.describe

    def describe_others(clip: Clip, problem: str | None, attempt: int) -> Answer:
        writer.fails = int(clip.narration_id) % 2 == 1
        return describe(clip, problem, attempt)

    monkeypatch.setattr(writer, "describe", describe_others)
    clips = [Clip(str(i), f"wash {i}", "wash", "cup") for i in range(9)]
    outcome = _generation(writer, max_failures=2).run(clips)
    assert len(outcome.records) == 5
    assert [one.narration_id for one in outcome.rejects] == list("1357")


@pytest.mark.parametrize("workers", [1, 4])
def test_a_stopped_run_says_so_and_goes_on_later(tmp_path: Path, workers: int) -> None:
    writer = FakeWriter()
    clips = [Clip(str(i), f"wash {i}", "wash", "cup") for i in range(40)]
    path = tmp_path / "cache.sqlite"
    run = _generation(writer, path, num_workers=workers)
    with pytest.raises(StoppedError, match="of 40 clips done"):
        run.run(clips, lambda progress: run.stop() if progress.done == 9 else None)
    assert len(_generation(writer, path, num_workers=workers).run(clips).records) == 40
    assert len(writer.asked) == len(set(writer.asked)) == 80


def test_a_number_that_makes_no_sense_is_named() -> None:
    with pytest.raises(ValueError, match="num_workers is 0"):
        _generation(FakeWriter(), num_workers=0)


def test_the_cache_serves_many_threads(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "cache.sqlite")

    def put(number: int) -> None:
        answer = Answer(str(number))
        cache.put(["q", number], answer, identity="i", prompt_sha256=None)

    threads = [threading.Thread(target=put, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [cache.get(["q", n]) for n in range(16)] == [
        Answer(str(n)) for n in range(16)
    ]
    assert cache.get(["q", 99]) is None


def test_another_file_is_not_taken_for_a_cache(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(ValueError, match="is no cache of answers"):
        AnswerCache(path)
    path.unlink()
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE answers (id INTEGER)")
    file.close()
    with pytest.raises(ValueError, match="name another file with --cache"):
        AnswerCache(path)
