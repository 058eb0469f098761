"""Windows of a long video."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from mmfusion.utils.errors import InputError

WHOLE_SECONDS = 8.0  # ``auto``: a longer video is cut into windows
WINDOW_SECONDS = 2.0
STRIDE_SECONDS = 0.5
MAX_WINDOWS = 1_000_000
_TIE = 1e-6


@dataclass(frozen=True)
class Span:
    """Part of a video, in seconds."""

    start: float
    end: float


def is_number(value: Any) -> bool:
    """Tell whether a value is a number, and no truth."""
    return isinstance(value, Real) and not isinstance(value, bool)


def window_seconds(window: float | str | None, duration: float) -> float | None:
    """Length of a window; None: the whole video is one clip, as in testing.

    Args:
        window: seconds, ``"auto"``, or None for the whole.
        duration: seconds of the video.

    Raises:
        InputError: it is none of these.
    """
    if window is None:
        return None
    if isinstance(window, str) and window == "auto":
        return WINDOW_SECONDS if duration > WHOLE_SECONDS else None
    if isinstance(window, str) or not is_number(window) or not 0 < window < math.inf:
        raise InputError(
            f"window is {window!r:.60}; expected seconds above 0, 'auto', or None for"
            " the whole video as one clip"
        )
    return float(window)


def check_stride(stride: float) -> None:
    """Refuse a step from window to window that leads nowhere."""
    if not is_number(stride) or not 0 < stride < math.inf:
        raise InputError(f"stride is {stride!r:.60}; expected seconds above 0")


def plan_windows(
    start: float, end: float, window: float | None, stride: float
) -> list[Span]:
    """Windows of ``window`` seconds every ``stride`` seconds, the last at the end.

    A video that is not longer than a window is one window.

    Args:
        start, end: of the clip. window: None for one that is all of it.

    Raises:
        InputError: a stride that is no step, or one so small that there is no end.
    """
    check_stride(stride)
    if window is None or window >= end - start - _TIE:
        return [Span(start, end)]
    last = (end - start - window) / stride
    if last > MAX_WINDOWS:
        raise InputError(
            f"stride is {stride} and window {window}: {last:.0f} windows in"
            f" {end - start:.1f} s; expected at most {MAX_WINDOWS}"
        )
    starts = [start + stride * number for number in range(int(last + _TIE) + 1)]
    spans = [Span(begin, begin + window) for begin in starts]
    if spans[-1].end < end - _TIE:
        spans.append(Span(end - window, end))
    return spans


def read_window(text: str) -> float | str | None:
    """A window as a person writes it: seconds, ``auto``, ``whole``.

    Raises:
        InputError: it is none of these.
    """
    if text in ("auto", "whole"):
        return "auto" if text == "auto" else None
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"window is {text!r}; expected seconds, 'auto' or 'whole'"
        ) from None
