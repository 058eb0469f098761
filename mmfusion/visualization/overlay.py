"""A video with what a model says of it: hands, classes, a timeline, weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont  # matplotlib brings it

from mmfusion.visualization.hands import HAND_COLOURS

Colour = tuple[int, int, int]

_BACK, _CARD, _TRACK = (17, 19, 25), (28, 31, 40), (48, 53, 66)
_TEXT, _DIM, _GOOD = (238, 240, 245), (158, 165, 180), (104, 211, 145)
_PLAIN = (110, 124, 150)  # bars of classes that have no row in the timeline
# Okabe and Ito's colours, which stay apart for every kind of colour vision
_CLASSES: tuple[Colour, ...] = (
    (86, 180, 233),
    (240, 228, 66),
    (0, 178, 130),
    (230, 130, 190),
    (230, 159, 0),
)
_MOST_ROWS = 5  # of the timeline
_NOTE_LINES, _NOTE_STEP = 4, 17  # at most; pixels from one to the next
_STREAMS: tuple[Colour, ...] = ((86, 180, 233), (230, 159, 0), (0, 178, 130))
_BOX = (960, 720)  # pixels, width and height that a picture is enlarged to
_PANEL, _MARGIN, _LEAST = 400, 20, 540  # pixels; the least height of the panel
_NAMES = 210  # width of the names beside the timeline
_ROW = 26


@dataclass(frozen=True)
class Story:
    """All that an overlay shows beside the picture.

    Attributes:
        title: of the video. names: of the k classes.
        spans: (n, 2) begin and end of each window, seconds, in order.
        scores: (n, k) probabilities.
        start, end: seconds of the video that are shown.
        weights: (n,) by stream; empty where streams have none.
        hands: names of the hands, in the order of their colours.
        truth: the right class, or None.
        ahead: the classes are of so many seconds later; None: of the window itself.
        note: up to four lines at the foot of the panel, or None.
    """

    title: str
    names: Sequence[str]
    spans: np.ndarray
    scores: np.ndarray
    start: float
    end: float
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    hands: Sequence[str] = ()
    truth: str | None = None
    ahead: float | None = None
    note: str | None = None

    def window_at(self, seconds: float) -> int:
        """The window whose middle is nearest to a time."""
        return int(np.abs(self.spans.mean(axis=1) - seconds).argmin())


class Overlay:
    """Pictures with a panel at their right and a timeline below, all of one even size.

    The bars are those of the window whose middle is nearest.

    Args:
        story: what is shown.
        size: (height, width) of the video's pictures.

    Example:
        >>> story = Story("a.mp4", ["cut", "stir"], np.array([[0, 2.0]]),
        ...               np.array([[0.9, 0.1]]), 0, 2.0)
        >>> overlay = Overlay(story, (64, 64))
        >>> overlay.draw(overlay.enlarge(np.zeros((64, 64, 3), np.uint8)), 1.0).shape
        (808, 1180, 3)
    """

    def __init__(self, story: Story, size: tuple[int, int]) -> None:
        self.story = story
        height, width = size
        factor = min(_BOX[0] / width, _BOX[1] / height)
        self.picture = (max(2, round(height * factor)), max(2, round(width * factor)))
        self._top = max(self.picture[0], _LEAST)  # height of picture and panel
        self._rows = _rows_of(story)
        self._width = self.picture[1] + _PANEL
        self._width += self._width % 2
        self._timeline = self._draw_timeline()
        self._height = self._top + len(self._timeline)
        self._height += self._height % 2
        self._panels: dict[int, np.ndarray] = {}

    def enlarge(self, frame: np.ndarray) -> np.ndarray:
        """A frame (h, w, 3) in the size that it is shown in, to draw hands on."""
        height, width = self.picture
        larger = height > frame.shape[0]
        how = cv2.INTER_CUBIC if larger else cv2.INTER_AREA
        return cv2.resize(frame, (width, height), interpolation=how)

    def draw(self, picture: np.ndarray, seconds: float) -> np.ndarray:
        """The whole picture (H, W, 3) uint8 RGB at a time of the video.

        Args:
            picture: of :meth:`enlarge`, perhaps with hands on it.
        """
        canvas = np.full((self._height, self._width, 3), _BACK, np.uint8)
        height, width = self.picture
        above = (self._top - height) // 2
        canvas[above : above + height, :width] = picture
        panel = self._panel(self.story.window_at(seconds))
        canvas[: self._top, width : width + _PANEL] = panel
        below = canvas[self._top : self._top + len(self._timeline)]
        below[:, : self._timeline.shape[1]] = self._timeline
        self._mark(below, seconds)
        return canvas

    def _mark(self, strip: np.ndarray, seconds: float) -> None:
        """The line of the present on the timeline."""
        x = round(self._x_of(seconds))
        bottom = len(strip) - 34
        cv2.rectangle(strip, (x - 1, 10), (x + 1, bottom), (255, 255, 255), cv2.FILLED)
        knob = np.array([[x - 6, 4], [x + 7, 4], [x, 13]])
        cv2.fillPoly(strip, [knob], (255, 255, 255), cv2.LINE_AA)

    def _x_of(self, seconds: float) -> float:
        left, right = _MARGIN + _NAMES, self._width - _MARGIN
        share = (seconds - self.story.start) / (self.story.end - self.story.start)
        return left + float(np.clip(share, 0, 1)) * (right - left)

    def _panel(self, window: int) -> np.ndarray:
        """(top, panel, 3) of one window; the last few are remembered."""
        if window not in self._panels:
            self._panels = {window: self._draw_panel(window)}
        return self._panels[window]

    def _draw_panel(self, window: int) -> np.ndarray:
        story = self.story
        image = Image.new("RGB", (_PANEL, self._top), _BACK)
        pen = ImageDraw.Draw(image)
        left, right = _MARGIN, _PANEL - _MARGIN
        _write(pen, (left, 16), story.title, 17, right - left, bold=True)
        start, end = story.spans[window]
        when = f"{clock(start)} – {clock(end)}"
        if story.ahead is not None:
            when += f"  →  what begins {story.ahead:g} s later"
        _write(pen, (left, 42), when, 14, right - left, _DIM)
        y = 76
        if story.truth is not None:
            _write(pen, (left, y), f"truth: {story.truth}", 15, right - left, _GOOD)
            y += 30
        scores = story.scores[window]
        for place in np.argsort(-scores, kind="stable")[:5]:
            y = self._bar(pen, y, int(place), float(scores[place]))
        if story.weights:
            y = self._weights(pen, y + 8, window)
        self._foot(pen)
        return np.asarray(image)

    def _bar(self, pen: ImageDraw.ImageDraw, y: int, place: int, score: float) -> int:
        """One class: its name, its percent, a bar below; where the next begins."""
        left, right = _MARGIN, _PANEL - _MARGIN
        name = self.story.names[place]
        colour = _GOOD if name == self.story.truth else _TEXT
        _write(pen, (left, y), name, 17, right - left - 64, colour)
        _write(pen, (right, y), f"{score:.0%}", 17, 64, colour, right=True)
        track = (left, y + 27, right, y + 37)
        pen.rounded_rectangle(track, 5, _TRACK)
        end = left + score * (right - left)
        if end - left >= 2:
            fill = colour_of(place) if place in self._rows else _PLAIN
            pen.rounded_rectangle((left, y + 27, max(end, left + 10), y + 37), 5, fill)
        return y + 56

    def _weights(self, pen: ImageDraw.ImageDraw, y: int, window: int) -> int:
        """The weight of each stream as parts of one bar."""
        left, right = _MARGIN, _PANEL - _MARGIN
        _write(pen, (left, y), "weight of each stream", 14, right - left, _DIM)
        shares = {
            name: float(rows[window]) for name, rows in self.story.weights.items()
        }
        x, space = float(left), right - left
        step = space // len(shares)
        for number, (name, share) in enumerate(shares.items()):
            colour = _STREAMS[number % len(_STREAMS)]
            end = x + share * space
            pen.rectangle((x, y + 25, max(x, end - 2), y + 37), colour)
            x = end
            at = left + number * step
            pen.ellipse((at, y + 49, at + 10, y + 59), colour)
            text = f"{name} {share:.0%}"
            _write(pen, (at + 16, y + 43), text, 15, step - 20, _TEXT)
        return y + 76

    def _foot(self, pen: ImageDraw.ImageDraw) -> None:
        """Legend of the hands, and the note."""
        left, right = _MARGIN, _PANEL - _MARGIN
        y = self._top - 34
        if self.story.note is not None:
            lines = wrapped(self.story.note, 13, right - left, _NOTE_LINES)
            y += 10 - _NOTE_STEP * (len(lines) - 1)
            for number, line in enumerate(lines):
                at = (left, y + _NOTE_STEP * number)
                _write(pen, at, line, 13, right - left, _DIM)
            y -= 28
        x = left
        step = (right - left) // max(1, len(self.story.hands))
        for number, name in enumerate(self.story.hands):
            colour = HAND_COLOURS[number % len(HAND_COLOURS)]
            pen.ellipse((x, y + 5, x + 12, y + 17), colour)
            told = f"{name} hand" if name in ("left", "right") else name
            _write(pen, (x + 20, y), told, 15, step - 26, _TEXT)
            x += step

    def _draw_timeline(self) -> np.ndarray:
        """(h, W, 3): a row a class, the stronger the likelier, and an axis."""
        story, rows = self.story, self._rows
        height = 18 + _ROW * len(rows) + 40
        image = Image.new("RGB", (self._width, height), _BACK)
        pen = ImageDraw.Draw(image)
        left, right = _MARGIN + _NAMES, self._width - _MARGIN
        edges = window_turns(story.spans, story.start, story.end)
        for number, place in enumerate(rows):
            y = 18 + _ROW * number
            _write(pen, (_MARGIN, y), story.names[place], 15, _NAMES - 14)
            pen.rectangle((left, y + 2, right, y + _ROW - 5), _CARD)
            colour = np.array(colour_of(place))
            for window, share in enumerate(story.scores[:, place].tolist()):
                shade = np.array(_CARD) + (colour - _CARD) * share
                low, high = (self._x_of(t) for t in edges[window : window + 2])
                box = (
                    round(low),
                    y + 2,
                    max(round(low), round(high) - 1),
                    y + _ROW - 5,
                )
                pen.rectangle(box, tuple(shade.astype(int).tolist()))
        y = 18 + _ROW * len(rows)
        for seconds in _ticks(story.start, story.end, (right - left) // 90):
            x = self._x_of(seconds)
            pen.line((x, y, x, y + 5), _DIM)
            text = clock(seconds, short=True)
            half = pen.textlength(text, _font(13)) / 2
            at = min(max(x - half, left), right - 2 * half)
            _write(pen, (at, y + 7), text, 13, 200, _DIM)
        return np.asarray(image)


def _rows_of(story: Story) -> list[int]:
    """Classes of the timeline: those best most often, in the order they come in."""
    best = story.scores.argmax(axis=1)
    counts = np.bincount(best, minlength=len(story.names))
    order = np.lexsort((-story.scores.mean(axis=0), -counts))
    wanted = min(_MOST_ROWS, max(3, int((counts > 0).sum())), len(story.names))
    first = {int(place): number for number, place in reversed(list(enumerate(best)))}
    return sorted(order[:wanted].tolist(), key=lambda x: first.get(x, len(best)))


def window_turns(spans: np.ndarray, start: float, end: float) -> np.ndarray:
    """Times (n + 1,) at which one window's turn ends and the next one's begins.

    Windows overlap; the turn of each is where its middle is the nearest.

    Args:
        spans: (n, 2) begin and end of each window, seconds, in order.
        start, end: of the whole, seconds.
    """
    middles = np.asarray(spans, dtype=np.float64).mean(axis=1)
    between = (middles[1:] + middles[:-1]) / 2
    return np.concatenate([[start], between, [end]])


def colour_of(place: int) -> Colour:
    """Colour of a class by its number: the same in every video of a model.

    The first five classes have Okabe and Ito's colours; later ones have these too,
    lighter or darker by turns, so that the same shade comes again after 25.
    """
    base = np.array(_CLASSES[place % len(_CLASSES)], dtype=np.float64)
    turn = place // len(_CLASSES) % 5
    towards = 255.0 if turn % 2 else 0.0
    share = (0.0, 0.5, 0.35, 0.75, 0.55)[turn]
    red, green, blue = np.rint(base + share * (towards - base)).astype(int).tolist()
    return red, green, blue


def _ticks(start: float, end: float, most: int) -> np.ndarray:
    """Round times, at most so many."""
    for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600):
        first, last = np.ceil(start / step - 1e-6), np.floor(end / step + 1e-6)
        if last - first < max(2, most):
            break
    return np.arange(first, last + 1) * step


def clock(seconds: float, *, short: bool = False) -> str:
    """A time as 1:02.3, or without a useless tenth where it is to be ``short``."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    if short and rest % 10 == 0:
        return f"{minutes}:{rest // 10:02d}"
    return f"{minutes}:{rest // 10:02d}.{rest % 10}"


@lru_cache(maxsize=32)
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    import matplotlib  # for its fonts; a training imports this file, too

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(
        str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size
    )


def shortened(text: str, size: int, width: float, *, bold: bool = False) -> str:
    """Text that fits into ``width`` pixels, cut with an ellipsis where it must be."""
    font = _font(size, bold=bold)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def wrapped(text: str, size: int, width: float, most: int) -> list[str]:
    """Text as at most so many lines of ``width`` pixels, broken between words.

    What does not fit into the last is cut with an ellipsis.
    """
    font = _font(size)
    lines: list[str] = []
    words = text.split()
    while words:
        count = 1
        while (
            count < len(words) and font.getlength(" ".join(words[: count + 1])) <= width
        ):
            count += 1
        if len(lines) == most - 1:
            count = len(words)
        lines.append(shortened(" ".join(words[:count]), size, width))
        words = words[count:]
    return lines


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    width: float,
    colour: Colour = _TEXT,
    *,
    bold: bool = False,
    right: bool = False,
) -> None:
    """A line of text whose top left, or top right, is at ``place``."""
    line = shortened(text, size, width, bold=bold)
    anchor = "ra" if right else "la"
    pen.text(place, line, colour, _font(size, bold=bold), anchor=anchor)
