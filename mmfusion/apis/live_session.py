"""A live run from its source to its summary, and the file of its answers."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, TextIO

import numpy as np

from mmfusion.apis.live import FATES, Answer, LiveLoop, rates_of
from mmfusion.apis.live_hands import LiveHands, with_hands
from mmfusion.apis.live_sources import Arrival, FillingFolder, LiveSource
from mmfusion.apis.streaming import StreamingRecognizer
from mmfusion.hands import HandExtractor
from mmfusion.layouts.skeleton_arrays import SkeletonKind
from mmfusion.utils.errors import InputError

_SYNC = 1.0  # seconds after which lines are on the disk


class LiveSession:
    """Labels of one source while it runs.

    Args:
        recognizer: reads the streams; one camera.
        source: of :func:`mmfusion.apis.live_sources.open_source`.
        hands: see :func:`mmfusion.apis.live_hands.with_hands`; only for a model that
            reads hands.
        limit: seconds from a frame to its answer, at most.
        extractor: finds hands in frames, in place of MediaPipe's.

    Raises:
        InputError: the model reads no video, or several cameras.
    """

    def __init__(
        self,
        recognizer: StreamingRecognizer,
        source: LiveSource,
        *,
        hands: str | None = "auto",
        limit: float = 0.5,
        extractor: HandExtractor | None = None,
    ) -> None:
        if recognizer.cameras != 1:
            raise InputError(f"the recognizer has {recognizer.cameras} cameras, not 1")
        streams = recognizer.streams
        self.recognizer, self.source = recognizer, source
        skeleton = recognizer.loaded.card.get("skeleton")
        self.sources, self.hands = [source], "none: the model reads none"
        if "skeleton" in streams:
            self.sources, self.hands = with_hands(source, hands, skeleton, extractor)
        if "video" not in streams:  # the video is only looked at for hands
            self.sources = [_Silent(self.sources[0]), *self.sources[1:]]
            if len(self.sources) < 2:
                raise InputError(f"the model reads hands, and there are {self.hands}")
        answer_on = "video" if "video" in streams else "skeleton"
        rates = rates_of(recognizer.loaded.pipeline)
        self.loop = LiveLoop(recognizer, rates, answer_on=answer_on, limit=limit)
        self.interrupted = False

    def answers(self) -> Iterator[Answer]:
        """Answers until the source ends, or :meth:`stop`."""
        warm_up(self.recognizer)
        yield from self.loop.run(self.sources)

    def stop(self) -> None:
        """End after the frame at hand; a signal's handler may call it."""
        self.interrupted = True
        self.loop.stop()

    def describe(self, answer: Answer, top: int) -> dict[str, Any]:
        """Plain values of an answer, the best ``top`` classes of each task."""
        scores = {}
        for task, row in answer.scores.items():
            names = self.recognizer.classes[task]
            best = np.argsort(-row, kind="stable")[:top]
            scores[task] = [
                {"class": names[i], "score": round(float(row[i]), 6)} for i in best
            ]
        return {
            "time": round(answer.time, 4),
            "latency_ms": round(1000 * answer.latency, 1),
            "scores": scores,
        }

    def summary(self) -> dict[str, Any]:
        """Plain values of the run so far."""
        found = self.loop.summary.as_dict()
        for one in self.sources:
            if isinstance(one, LiveHands):
                found["frames_not_looked_at_for_hands"] = one.dropped
        if isinstance(self.source, FillingFolder):
            found["broken_files"] = self.source.broken
        return {**found, "interrupted": self.interrupted}

    def report(self) -> Iterator[str]:
        """Lines of the summary."""
        found = self.summary()
        end = "stopped" if self.interrupted else "ended"
        yield f"{end} after {found['seconds']:.1f} s"
        for stream, counts in found["frames"].items():
            told = ", ".join(f"{counts[fate]} {fate}" for fate in FATES if counts[fate])
            yield f"  {stream}: {told or 'no frame'}"
        if found["latency_median_ms"] is not None:
            yield (
                f"  latency: median {found['latency_median_ms']:.0f} ms,"
                f" 99th percentile {found['latency_p99_ms']:.0f} ms"
            )
        for key in ("frames_not_looked_at_for_hands", "broken_files"):
            if key in found:
                yield f"  {key.replace('_', ' ')}: {found[key]}"


class _Silent:
    """A video whose frames nobody is given."""

    def __init__(self, source: LiveSource) -> None:
        self._source = source

    def arrivals(self, start: float, stop: Event) -> Iterator[Arrival]:
        for arrival in self._source.arrivals(start, stop):
            if arrival.stream != "video":
                yield arrival


def warm_up(recognizer: StreamingRecognizer) -> None:
    """Let a model read a frame of each stream and forget it.

    The first frame builds what the others use, and would come too late.
    """
    state = recognizer.state()
    for number, stream in enumerate(recognizer.streams):
        data = np.zeros((64, 64, 3), np.uint8)
        if stream == "skeleton":
            kind = SkeletonKind.of(recognizer.loaded.card.get("skeleton"))
            shape = (len(kind.hands or ()), kind.num_joints or 0, 3)
            data = np.full(shape, np.nan, np.float32)  # not seen
        recognizer.push(stream, 0.1 * number, data)
    recognizer.restore(state)


class LineFile:
    """A file of JSON lines, each whole on the disk within a second, whatever comes.

    Args:
        path: of the file, which is written anew; None writes nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: TextIO | None = None
        self._synced = 0.0

    def __enter__(self) -> "LineFile":
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8")
        return self

    def write(self, content: Mapping[str, Any]) -> None:
        """Add a line."""
        if self._file is None:
            return
        self._file.write(f"{json.dumps(content, allow_nan=False)}\n")
        self._file.flush()
        if time.monotonic() - self._synced > _SYNC:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
