"""From clips to questions: two stages, repetitions, and a list of what failed.

Clips that ask the same are one job, so that a narration that comes a thousand times is
paid once. A job is retried with the reason of the refusal; every answer, good or bad,
is in the cache, so a run that was killed asks only what has no answer yet.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import astuple, dataclass, replace
from functools import partial
from typing import TypeVar

from mmfusion.questions.cache import AnswerCache
from mmfusion.questions.clips import Clip
from mmfusion.questions.masking import Masker
from mmfusion.questions.parsing import (
    Maker,
    UnusableAnswerError,
    parse_description,
    parse_questions,
)
from mmfusion.questions.records import QuestionRecord
from mmfusion.questions.writers.base import (
    Answer,
    NoAnswerError,
    Writer,
    WriterDownError,
)
from mmfusion.utils.errors import InputError, MMFusionError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Reject:
    """A clip without questions, and why."""

    narration_id: str
    stage: str
    reason: str
    attempts: int
    answer: str | None


@dataclass
class Progress:
    """Progress of a run; tokens are this run's, ``saved`` came from the cache."""

    total: int
    done: int = 0
    rejected: int = 0
    asked: int = 0
    saved: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True)
class Outcome:
    """Result of a run: records in the clips' order, and the rejects."""

    records: list[QuestionRecord]
    rejects: list[Reject]


class StoppedError(MMFusionError, RuntimeError):
    """The run was asked to stop before its end; what was answered is in the cache."""

    exit_code = 1


class Generation:
    """One run of a writer over clips.

    Args:
        writer: who writes.
        masker: knows all answers' forms.
        cache: keeps the answers.
        source: of the records.
        num_attempts: answers asked for at most, per stage.
        num_workers: requests at one time.
        num_variants: different questions for clips that ask the same, at most.
        max_failures: requests without an answer in a row, after which nothing more is
            asked.
    """

    def __init__(
        self,
        writer: Writer,
        masker: Masker,
        cache: AnswerCache,
        *,
        source: str = "ground_truth",
        num_attempts: int = 3,
        num_workers: int = 1,
        num_variants: int = 1,
        max_failures: int = 20,
    ) -> None:
        numbers = dict(
            num_attempts=num_attempts,
            num_workers=num_workers,
            num_variants=num_variants,
            max_failures=max_failures,
        )
        for name, value in numbers.items():
            if value < 1:
                raise InputError(f"{name} is {value}; expected 1 or more")
        self.writer = writer
        self.masker = masker
        self.cache = cache
        self.maker = Maker(writer.model, writer.prompt_sha256, source)
        self.num_attempts = num_attempts
        self.num_workers = num_workers
        self.num_variants = num_variants
        self.max_failures = max_failures
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._failures = 0
        self._under_way: dict[tuple, threading.Lock] = {}

    def stop(self) -> None:
        """Ask nothing more; requests under way are finished and kept."""
        self._stop.set()
        self.writer.stop()

    def jobs(self, clips: Iterable[Clip]) -> dict[tuple, list[Clip]]:
        """Clips by what is asked about them."""
        found: dict[tuple, list[Clip]] = {}
        counts: Counter[tuple] = Counter()
        for clip in clips:
            name, *asked = astuple(clip)
            key = (*asked, name)
            if not self.writer.per_clip:
                same = tuple(asked)
                key = (*asked, counts[same] % self.num_variants)
                counts[same] += 1
            found.setdefault(key, []).append(clip)
        return found

    def run(
        self,
        clips: Sequence[Clip],
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Outcome:
        """Ask for all clips.

        Raises:
            StoppedError: :meth:`stop` was called before the end.
            WriterDownError: the writer cannot answer at all.
        """
        progress = Progress(total=len(clips))
        by_id: dict[str, QuestionRecord | Reject] = {}
        jobs = list(self.jobs(clips).items())
        for members, result in self._results(jobs, progress):
            for name in (clip.narration_id for clip in members):
                by_id[name] = replace(result, narration_id=name)
            progress.done += len(members)
            progress.rejected += len(members) * isinstance(result, Reject)
            on_progress(progress)
        if self._stop.is_set():
            raise StoppedError(
                f"stopped with {progress.done} of {progress.total} clips done"
            )
        found = [by_id[clip.narration_id] for clip in clips]
        return Outcome(
            [one for one in found if isinstance(one, QuestionRecord)],
            [one for one in found if isinstance(one, Reject)],
        )

    def _results(
        self, jobs: Sequence[tuple[tuple, list[Clip]]], progress: Progress
    ) -> Iterator[tuple[list[Clip], QuestionRecord | Reject]]:
        """Results as they come; few jobs are handed out ahead, so a stop is quick."""
        if self.num_workers == 1:
            for key, members in jobs:
                if self._stop.is_set():
                    return
                yield members, self._answer(key, members[0], progress)
            return
        waiting = iter(jobs)
        running: dict[Future, list[Clip]] = {}
        with ThreadPoolExecutor(self.num_workers) as pool:
            try:
                while True:
                    for key, members in waiting:
                        if self._stop.is_set():
                            break
                        future = pool.submit(self._answer, key, members[0], progress)
                        running[future] = members
                        if len(running) >= self.num_workers:
                            break
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield running.pop(future), future.result()
            except BaseException:
                self._stop.set()
                raise

    def _answer(
        self, key: tuple, clip: Clip, progress: Progress
    ) -> QuestionRecord | Reject:
        """Both stages of one job; each is kept by what the writer gets to read."""
        words = (clip.verb, clip.noun, key[-1])
        stage = partial(self._stage, clip, progress)
        describe = partial(self.writer.describe, clip)
        told = stage(
            "description", (clip.narration, *words), describe, parse_description
        )
        if isinstance(told, Reject):
            return told
        ask = partial(self.writer.ask, clip, told)
        parse = partial(
            parse_questions, clip=clip, maker=self.maker, masker=self.masker
        )
        return stage("questions", (told, *words), ask, parse)

    def _stage(
        self,
        clip: Clip,
        progress: Progress,
        stage: str,
        key: tuple,
        ask: Callable[[str | None, int], Answer],
        parse: Callable[[str], Result],
    ) -> Result | Reject:
        """Ask until an answer can be used, or the attempts are spent."""
        problem: str | None = None
        last: str | None = None
        for attempt in range(self.num_attempts):
            try:
                answer = self._kept_or_asked(
                    (self.writer.identity, stage, *key, attempt, problem),
                    partial(ask, problem, attempt),
                    progress,
                )
            except NoAnswerError as error:
                reason = f"no answer: {error}"
                return Reject(clip.narration_id, stage, reason, attempt + 1, last)
            last = answer.text
            try:
                if answer.fault is not None:
                    raise UnusableAnswerError(answer.fault)
                return parse(answer.text)
            except UnusableAnswerError as error:
                problem = str(error)
        return Reject(clip.narration_id, stage, problem or "", self.num_attempts, last)

    def _kept_or_asked(
        self, asked: tuple, ask: Callable[[], Answer], progress: Progress
    ) -> Answer:
        if not self.writer.keeps_answers:
            return ask()
        with self._lock:
            turn = self._under_way.setdefault(asked, threading.Lock())
        with turn:  # a second job that asks the same waits for the answer
            kept = self.cache.get(asked)
            if kept is not None:
                with self._lock:
                    progress.saved += 1
                return kept
            if self._stop.is_set():
                raise NoAnswerError("the run was stopped before it was asked")
            answer = self._counted(ask)
            self.cache.put(
                asked,
                answer,
                identity=self.writer.identity,
                prompt_sha256=self.writer.prompt_sha256,
            )
        with self._lock:
            self._under_way.pop(asked, None)
            progress.asked += 1
            progress.tokens_in += answer.tokens_in
            progress.tokens_out += answer.tokens_out
        return answer

    def _counted(self, ask: Callable[[], Answer]) -> Answer:
        """Ask; too many failures in a row mean that nobody is there."""
        try:
            answer = ask()
        except NoAnswerError as error:
            with self._lock:
                self._failures += 1
                if self._failures >= self.max_failures:
                    raise WriterDownError(
                        f"{self._failures} requests in a row brought no answer, the "
                        f"last: {error}. What was answered is kept; run the same "
                        "command to go on"
                    ) from error
            raise
        with self._lock:
            self._failures = 0
        return answer
