"""One HTML page about trained models: what it holds, and how it becomes a file."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mmfusion.evaluation.by_class import ClassReport
from mmfusion.evaluation.calibration import Calibration
from mmfusion.evaluation.functional import Interval
from mmfusion.utils.errors import InputError

_QUALITY = 82  # of JPEG: no artefacts at the size of a strip


@dataclass(frozen=True)
class ModelPart:
    """One model of the page.

    Attributes:
        name: as the page calls it.
        config: stem of its config.
        streams: that it sees.
        folder: of its run.
        colour: its number, from 0.
        top1: accuracy with its interval, percent.
        num_seeds: trained models of it; all but ``top1`` are of the first.
        epochs: that it was trained for; None where the run does not say.
        parameters: number of weights; None where it is not known.
        classes: confusion matrix and accuracy by class.
        sureness: calibration; None where the scores are no probabilities.
        sureness_chart: its picture.
        ceiling: best accuracy that its streams allow, percent; None unknown.
    """

    name: str
    config: str
    streams: tuple[str, ...]
    folder: str
    colour: int
    top1: Interval
    num_seeds: int
    epochs: int | None
    parameters: int | None
    classes: ClassReport
    sureness: Calibration | None = None
    sureness_chart: Markup | None = None
    ceiling: float | None = None


@dataclass(frozen=True)
class PlainRow:
    """A row of results beside the models, which no training of its own makes.

    Attributes:
        name: as the page calls it.
        streams: that it sees.
        top1: accuracy with its interval, percent.
        num_clips: that were tested.
        num_seeds: of the models that it is compared with.
    """

    name: str
    streams: tuple[str, ...]
    top1: Interval
    num_clips: int
    num_seeds: int


@dataclass(frozen=True)
class SplitRow:
    """Clips of one class in each split.

    Attributes:
        name: of the class.
        counts: as many numbers as there are splits.
    """

    name: str
    counts: tuple[int, ...]


@dataclass(frozen=True)
class DataPart:
    """Data of a page: classes, splits, and notes on them.

    Attributes:
        name: of the data.
        task: whose accuracy the page has.
        splits: names, of training, validation and test.
        rows: classes.
        totals: clips of each split.
        tested: the split whose clips gave the results.
        notes: sentences, such as the rule that made the splits.
    """

    name: str
    task: str
    splits: tuple[str, ...]
    rows: tuple[SplitRow, ...]
    totals: tuple[int, ...]
    tested: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairRow:
    """Two models on the same clips.

    Attributes:
        first: name of one. second: of the other.
        difference: of their accuracies, points.
        only_first: clips that the first alone gets right. only_second: the second.
        p_value: of the paired test.
        p_holm: adjusted for the tests of the table.
        needed: clips that would tell the two apart, if they differ as seen here; None
            where no number would.
    """

    first: str
    second: str
    difference: Interval
    only_first: int
    only_second: int
    p_value: float
    p_holm: float
    needed: int | None


@dataclass(frozen=True)
class Chart:
    """A picture and the words under it.

    Attributes:
        title: over it.
        svg: the picture.
        models: those of its lines, in the legend; (name, colour).
        text: under it.
    """

    title: str
    svg: Markup
    models: tuple[tuple[str, int], ...] = ()
    text: str = ""


@dataclass(frozen=True)
class AnswerCell:
    """Answer of one model to a clip.

    Attributes:
        model: its name. colour: its number.
        answer: class that it gives.
        correct: True where it is right.
        confidence: percent.
        weights: percent by stream, where the model weighs them.
    """

    model: str
    colour: int
    answer: str
    correct: bool
    confidence: float
    weights: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class ClipCard:
    """One clip: its frames and what the models say.

    Attributes:
        id: its name.
        label: its class.
        answers: one a model.
        picture: data URI of the strip; None where it could not be drawn.
        note: why not, or what else is to be said.
    """

    id: str
    label: str
    answers: tuple[AnswerCell, ...]
    picture: str | None = None
    note: str = ""


@dataclass(frozen=True)
class ClipGroup:
    """Clips under one heading.

    Attributes:
        title: the heading.
        total: clips of that kind, of which ``cards`` are the first.
        cards: what is shown.
    """

    title: str
    total: int
    cards: tuple[ClipCard, ...]


@dataclass(frozen=True)
class TextTable:
    """A small table of words.

    Attributes:
        head: names of the columns.
        rows: cells, as many in each.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Command:
    """A line to type next.

    Attributes:
        purpose: of it. line: of the shell.
    """

    purpose: str
    line: str


@dataclass(frozen=True)
class Page:
    """All of the page; a part that is empty is left out.

    Attributes:
        title: of the page.
        made: one line on when and by what.
        summary: the answer in a few sentences.
        cautions: what the reader must not believe.
        data: what was trained on what.
        models: the best one first.
        plain: rows beside those of the models, which no training makes.
        pairs: of models; empty for one.
        notes: under the table of results.
        curves: losses and accuracies over training.
        alpha: weights of the streams over training.
        alpha_table: the same by clip.
        alone: clips that only one model gets right.
        worst: clips that are most wrong.
        reliance: what a model does without a stream.
        reliance_notes: how to read it.
        commands: to go on with.
    """

    title: str
    made: str
    summary: tuple[str, ...]
    data: DataPart
    models: tuple[ModelPart, ...]
    cautions: tuple[str, ...] = ()
    plain: tuple[PlainRow, ...] = ()
    pairs: tuple[PairRow, ...] = ()
    notes: tuple[str, ...] = ()
    curves: tuple[Chart, ...] = ()
    alpha: tuple[Chart, ...] = ()
    alpha_table: TextTable | None = None
    alone: tuple[ClipGroup, ...] = ()
    worst: ClipGroup | None = None
    reliance: TextTable | None = None
    reliance_notes: tuple[str, ...] = ()
    commands: tuple[Command, ...] = field(default=())


def render(page: Page) -> str:
    """The page as one HTML document that needs no other file and no network.

    Every name of a class, a clip or a path is escaped.
    """
    environment = Environment(
        loader=PackageLoader("mmfusion.visualization.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = lambda value: f"{value:+.1f}"
    environment.filters["p"] = lambda value: (
        "< 0.001" if value < 0.001 else f"{value:.3f}"
    )
    return environment.get_template("page.html").render(page=page)


def picture_uri(images: Sequence[np.ndarray], gap: int = 4) -> str:
    """Pictures side by side as one ``data:`` URI.

    Args:
        images: (h, w, 3) uint8 RGB, all of one height.
        gap: pixels between them.

    Raises:
        ValueError: no picture, or several heights.
    """
    heights = {image.shape[0] for image in images}
    if len(heights) != 1:
        raise InputError(f"pictures of the heights {sorted(heights)}, expected one")
    space = np.full((heights.pop(), gap, 3), 255, np.uint8)
    row = [part for image in images for part in (space, image)][1:]
    strip = np.concatenate(row, axis=1)[..., ::-1]
    _, data = cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
