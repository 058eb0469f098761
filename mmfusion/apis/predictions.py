"""Results of one video, as arrays and as plain data."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmfusion.apis.sources import Clip
from mmfusion.apis.windows import Span


@dataclass
class VideoPrediction:
    """Scores of a video's windows.

    Attributes:
        name: of the video.
        start, end: seconds that were looked at.
        classes: names by task.
        spans: n windows, in order.
        scores: probabilities (n, k) by task.
        weights: (n,) by stream, where the model weighs its streams; else empty.
        window, stride: seconds; None where the whole is one clip.
        ahead: seconds from the end of a window to the action that is foretold; None
            where the action is in the window.
        hands: ``source``, ``seen`` (share of frames) and ``note``; None where the model
            reads none.
        question: what was asked, by task; None where the model reads no text.
        skipped: windows that could not be read, and why.
        note: what a reader should know of the windows, or None.
        clip: that was labelled, its hands in its record.
    """

    name: str
    start: float
    end: float
    classes: dict[str, list[str]]
    spans: list[Span]
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    window: float | None = None
    stride: float | None = None
    ahead: float | None = None
    hands: dict[str, Any] | None = None
    question: dict[str, str] | None = None
    skipped: list[tuple[Span, str]] = field(default_factory=list)
    note: str | None = None
    clip: Clip | None = None

    def whole(self, task: str) -> np.ndarray:
        """Probabilities (k,) of the whole: the mean over its windows."""
        scores = self.scores[task]
        return scores[0] if len(scores) == 1 else scores.mean(axis=0)

    def best(self, task: str, scores: np.ndarray, top: int | None) -> list[dict]:
        """The ``top`` best of ``scores`` (k,), best first, as names and numbers."""
        order = np.argsort(-scores, kind="stable")[:top]
        names = self.classes[task]
        return [{"class": names[i], "score": float(scores[i])} for i in order]

    def to_dict(self, top: int | None = 5) -> dict[str, Any]:
        """Plain data that JSON can hold; its keys are in this package's README.

        Args:
            top: classes a task and window; None for all.
        """
        windows = []
        for number, span in enumerate(self.spans):
            scores = {
                task: self.best(task, rows[number], top)
                for task, rows in self.scores.items()
            }
            weights = {name: float(rows[number]) for name, rows in self.weights.items()}
            windows.append(
                {**_times(span), "scores": scores, "weights": weights or None}
            )
        means = {name: float(rows.mean()) for name, rows in self.weights.items()}
        return {
            "video": self.name,
            "start_sec": self.start,
            "end_sec": self.end,
            "seconds_ahead": self.ahead,
            "window": self.window,
            "stride": self.stride,
            "whole": "one clip" if len(windows) == 1 else "mean of the windows",
            "scores": {
                task: self.best(task, self.whole(task), top) for task in self.scores
            },
            "weights": means or None,
            "windows": windows,
            "skipped_windows": [
                {**_times(span), "reason": reason} for span, reason in self.skipped
            ],
            "hands": self.hands,
            "question": self.question,
            "note": self.note,
        }


def _times(span: Span) -> dict[str, float]:
    return {"start_sec": round(span.start, 6), "end_sec": round(span.end, 6)}
