"""Labels while the frames come: what is late is dropped and counted.

A thread a source puts frames into a box that holds the last tenth of a second of each
stream; the loop gives them, the streams in turn, to a :class:`StreamingRecognizer`, and
hands on what that answers, with the time of the frames that the answer is about. Where
the model is slower than the frames it reads fewer of them, each as soon as before.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Condition, Event, Thread
from typing import Any, Protocol

import numpy as np

from mmfusion.apis.live_sources import Arrival, LiveSource
from mmfusion.utils.errors import InputError

FATES = ("answered", "taken", "between", "dropped", "refused", "late")
_LONGEST = 10_000  # ms; a longer latency counts as this
_WAIT = (
    0.1  # seconds; a frame that is older than its stream's newest by more is dropped
)
_EPS = 1e-3  # seconds by which a frame may come before its tick


class Recognizer(Protocol):
    """Needs of the loop, which a :class:`StreamingRecognizer` fulfils."""

    streams: tuple[str, ...]

    def push(self, stream: str, time: float, data: Any) -> Any:
        """Take a frame and give a reading."""


class Latencies:
    """Latencies of any number of answers, to a millisecond, in constant memory."""

    def __init__(self) -> None:
        self._counts = np.zeros(_LONGEST + 1, np.int64)

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[min(_LONGEST, max(0, math.ceil(seconds * 1000)))] += 1

    def quantile(self, share: float) -> float | None:
        """Seconds that a share of the answers took at most; None without answers.

        >>> latencies = Latencies()
        >>> for ms in range(1, 101):
        ...     latencies.add(ms / 1000)
        >>> latencies.quantile(0.5), latencies.quantile(0.99)
        (0.05, 0.099)
        """
        total = int(self._counts.sum())
        if not total:
            return None
        enough = math.ceil(share * total)
        return float(np.searchsorted(np.cumsum(self._counts), enough)) / 1000


@dataclass(frozen=True)
class Answer:
    """Scores of a model, and the moment that they are about.

    Attributes:
        time: seconds of the newest frame that it is about.
        latency: seconds from when that frame was there to this answer.
        scores: probabilities (k,) by task.
    """

    time: float
    latency: float
    scores: dict[str, np.ndarray]


@dataclass
class LiveSummary:
    """Numbers of a live run.

    Attributes:
        seconds: that it took.
        frames: by stream, how many frames had which fate: ``answered``; ``taken`` by
            the model, without an answer; ``between`` two ticks of the model's clock;
            ``dropped``: one that is newer by more than a tenth of a second came, or the
            limit passed, before the model could look at them;
            ``refused`` by it, as out of order; ``late``: looked at, but the answer was
            ready after the limit only, and was thrown away.
        latencies: of the answers.
    """

    seconds: float = 0.0
    frames: dict[str, Counter] = field(default_factory=dict)
    latencies: Latencies = field(default_factory=Latencies)

    def as_dict(self) -> dict[str, Any]:
        """Plain values; latencies in milliseconds."""
        found: dict[str, Any] = {"seconds": round(self.seconds, 3), "frames": {}}
        for stream, counts in self.frames.items():
            found["frames"][stream] = {fate: counts[fate] for fate in FATES}
        for name, share in (("median", 0.5), ("p99", 0.99)):
            value = self.latencies.quantile(share)
            found[f"latency_{name}_ms"] = None if value is None else 1000 * value
        return found


class LiveLoop:
    """Frames of several streams to a model, each in time or not at all.

    Args:
        recognizer: takes the frames.
        rates: frames a second of each stream that the model was trained with; a faster
            source is thinned out to them. A stream without a rate is taken whole.
        answer_on: the stream whose frames are answered.
        limit: seconds from a frame to its answer, at most.

    Raises:
        InputError: the model does not read that stream, or the limit is not above 0.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        rates: Mapping[str, float],
        *,
        answer_on: str,
        limit: float = 0.5,
    ) -> None:
        if answer_on not in recognizer.streams:
            raise InputError(
                f"answer_on is {answer_on!r}; expected one of {recognizer.streams}"
            )
        if not limit > 0:
            raise InputError(f"limit is {limit}; expected seconds above 0")
        self.recognizer, self.rates = recognizer, dict(rates)
        self.answer_on, self.limit = answer_on, limit
        self.summary = LiveSummary(
            frames={stream: Counter() for stream in recognizer.streams}
        )
        self._tick = dict.fromkeys(recognizer.streams, -math.inf)
        self._waiting: dict[str, deque[Arrival]] = {
            stream: deque() for stream in recognizer.streams
        }
        self._turns = [*recognizer.streams]  # the one that was read last comes last
        self._changed = Condition()
        self._running = 0
        self._stop = Event()
        self._failure: Exception | None = None

    def put(self, arrival: Arrival) -> None:
        """Put a frame into the box, in place of those it makes too old.

        A frame between two ticks of the model's clock does not get into it.
        """
        stream, rate = arrival.stream, self.rates.get(arrival.stream)
        counts = self.summary.frames[stream]
        with self._changed:
            if rate is not None:
                if arrival.time < self._tick[stream] - _EPS:
                    counts["between"] += 1
                    return
                self._tick[stream] = _next_tick(arrival.time, rate)
            waiting = self._waiting[stream]
            waiting.append(arrival)
            while arrival.due - waiting[0].due > _WAIT:
                waiting.popleft()
                counts["dropped"] += 1
            self._changed.notify()

    @property
    def has_waiting(self) -> bool:
        """True where a frame is in the box."""
        return any(self._waiting.values())

    def pick(self) -> Arrival | None:
        """Take the oldest frame of the stream whose turn it is out of the box.

        Streams that wait take turns: under load none is passed over for another.
        """
        with self._changed:
            waiting = [stream for stream in self._turns if self._waiting[stream]]
            if not waiting:
                return None
            self._turns.remove(waiting[0])
            self._turns.append(waiting[0])
            return self._waiting[waiting[0]].popleft()

    def take(
        self, arrival: Arrival, now: Callable[[], float] = time.monotonic
    ) -> Answer | None:
        """Give one frame to the model, unless it is too old.

        Args:
            arrival: the frame. now: the clock of ``arrival.due``.

        Returns:
            The answer, if it is ready in time; None for frames that are not answered.
        """
        fate, answer = self._read_frame(arrival, now)
        with self._changed:  # sources count, too
            self.summary.frames[arrival.stream][fate] += 1
        if answer is not None:
            self.summary.latencies.add(answer.latency)
        return answer

    def _read_frame(
        self, arrival: Arrival, now: Callable[[], float]
    ) -> tuple[str, Answer | None]:
        """Fate of a frame, and the answer of one that is answered."""
        if now() - arrival.due > self.limit:
            return "dropped", None
        reading = self.recognizer.push(arrival.stream, arrival.time, arrival.data)
        if not reading.accepted[0]:
            return "refused", None
        scores = {task: rows[0] for task, rows in reading.scores.items()}
        known = all(np.isfinite(row).all() for row in scores.values())
        if arrival.stream != self.answer_on or not known:
            return "taken", None
        latency = now() - arrival.due
        if latency > self.limit:
            return "late", None
        return "answered", Answer(float(reading.time[0]), latency, scores)

    def run(self, sources: Sequence[LiveSource]) -> Iterator[Answer]:
        """Answers as they come, until all sources have ended, or :meth:`stop`.

        Raises:
            Exception: a source cannot go on, and what it says; what came before was
                answered.
        """
        start = time.monotonic()
        self._running = len(sources)
        threads = [
            Thread(target=self._watch, args=(one, start), daemon=True)
            for one in sources
        ]
        for thread in threads:
            thread.start()
        try:
            while (arrival := self._next()) is not None:
                answer = self.take(arrival)
                if answer is not None:
                    yield answer
            if self._failure is not None:
                raise self._failure
        finally:
            self._stop.set()
            self.summary.seconds = time.monotonic() - start
            for thread in threads:
                thread.join(timeout=1.0)  # a camera may hold its thread

    def stop(self) -> None:
        """End the run after the frame at hand; a signal's handler may call it."""
        self._stop.set()
        with self._changed:
            self._changed.notify()

    def _watch(self, source: LiveSource, start: float) -> None:
        try:
            for arrival in source.arrivals(start, self._stop):
                self.put(arrival)
        except Exception as error:  # of cameras, decoders, finders: of many kinds
            self._failure = error  # for the loop, which raises it
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify()

    def _next(self) -> Arrival | None:
        """The next frame, as soon as there is one; None when there will be none."""
        with self._changed:
            while not self.has_waiting and self._running and not self._stop.is_set():
                self._changed.wait(0.2)
            return None if self._stop.is_set() else self.pick()


def _next_tick(seconds: float, rate: float) -> float:
    """The tick of a clock after the one that a frame stands for."""
    return (math.floor((seconds + _EPS) * rate) + 1) / rate


def rates_of(pipeline: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Frames a second of each stream, out of the test pipeline of a model."""
    for step in pipeline:
        if isinstance(step.get("rates"), Mapping):
            return {name: float(rate) for name, rate in step["rates"].items()}
    return {}
