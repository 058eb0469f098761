"""Results of the study: cells on disk, csv, tables with intervals.

Shapes: s seeds, n test clips, g blocks of test clips (one sequence each).
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mmfusion.analysis.tables import Grid
from mmfusion.evaluation.functional import (
    Interval,
    accuracy_interval,
    difference_interval,
)
from mmfusion.tinyego import REGIMES, expected_ceilings
from mmfusion.utils.errors import AnnotationError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.text_files import read_json

from .features import WRONG
from .fusion import Cell, Outcome

TASKS = ("action", "verb")
STATES = ("sound", "video_wrong", "hands_wrong")  # as WRONG
_QUANTILES = (0.1, 0.5, 0.9)
_STREAM_OF_ROW = {"video": "video", "hands": "skeleton"}


def cell_file(out: Path, cell: Cell) -> Path:
    """File of one cell's outcome; it is there when the cell is done."""
    name = f"{cell.mix}_{cell.size}_{cell.seed}.json"
    return out / "cells" / cell.regime / name


def write_cell(out: Path, cell: Cell, found: Outcome) -> None:
    """Write the answers to each test clip, right or wrong, and its alpha."""
    content = dict(
        action=_bits(found.action),
        verb=_bits(found.verb),
        alpha=None if found.alpha is None else found.alpha.numpy().round(3).tolist(),
        step=found.step,
        val_loss=round(found.val_loss, 4),
    )
    text = json.dumps(content) + "\n"
    write_atomic(cell_file(out, cell), text.encode(), sweep=False)


def _bits(right: Tensor) -> str:
    return "".join("1" if one else "0" for one in right.tolist())


@dataclass(frozen=True)
class Results:
    """All cells of a grid that are done.

    Args:
        out: folder of the study.
        cells: of the grid.
        blocks: block of each test clip, by regime. wrong: place in WRONG, likewise.
    """

    out: Path
    cells: Sequence[Cell]
    blocks: Mapping[str, NDArray]
    wrong: Mapping[str, NDArray]

    def __post_init__(self) -> None:
        found = {
            cell: self._read(cell)
            for cell in self.cells
            if cell_file(self.out, cell).is_file()
        }
        object.__setattr__(self, "done", found)

    done: Any = None

    def _read(self, cell: Cell) -> dict[str, Any]:
        path = cell_file(self.out, cell)
        content = read_json(path)
        count = len(self.blocks[cell.regime])
        for task in TASKS:
            if not isinstance(content, dict) or len(content.get(task, "")) != count:
                raise AnnotationError(
                    f"{path}: expected answers to {count} clips under {task!r}; remove"
                    " that file, and the same command makes it anew"
                )
        return content

    def right(self, regime: str, mix: str, size: int, task: str) -> dict[int, NDArray]:
        """(n,) 0 or 1 by test clip, for each seed that is done."""
        return {
            cell.seed: np.array([*content[task]], dtype=float)
            for cell, content in self.done.items()
            if (cell.regime, cell.mix, cell.size) == (regime, mix, size)
        }

    def _by_block(self, regime: str, right: NDArray) -> NDArray:
        """(s, n) -> (s, g), the share that is right."""
        block = np.unique(self.blocks[regime], return_inverse=True)[1]
        sums = np.stack([np.bincount(block, row) for row in right])
        return sums / np.bincount(block)

    def accuracy(self, regime: str, mix: str, size: int, task: str) -> Interval | None:
        """Percent right with its interval over seeds and blocks."""
        found = self.right(regime, mix, size, task)
        if not found:
            return None
        right = np.stack([*found.values()])  # (s, n)
        if right.min() == right.max():  # nothing varies: Wilson's interval, over clips
            return accuracy_interval(right)
        blocks = self._by_block(regime, right)
        return difference_interval(blocks, 0 * blocks)

    def difference(
        self, regime: str, mixes: tuple[str, str], size: int, task: str
    ) -> Interval | None:
        """First mix minus the second in points, paired by seed and block.

        Of the seeds that both have; None where there is none.
        """
        one, other = (self.right(regime, mix, size, task) for mix in mixes)
        seeds = [seed for seed in one if seed in other]
        if not seeds:
            return None
        first, second = (np.stack([own[s] for s in seeds]) for own in (one, other))
        if (first == second).all():  # nothing varies: Newcombe's interval, over clips
            return difference_interval(first, second)
        own = (self._by_block(regime, right) for right in (first, second))
        return difference_interval(*own)

    def sizes_with_alpha(self) -> list[int]:
        """Numbers of clips for which weights are known in all regimes, ascending."""
        known = {(c.size, c.regime) for c, v in self.done.items() if v["alpha"]}
        sizes = sorted({size for size, _ in known})
        return [s for s in sizes if all((s, one) in known for one in self.blocks)]

    def alphas(self, regime: str, mix: str, size: int) -> dict[str, NDArray]:
        """Weights of the video by state of the clip, all seeds together."""
        found = [
            content["alpha"]
            for cell, content in self.done.items()
            if (cell.regime, cell.mix, cell.size) == (regime, mix, size)
            and content["alpha"] is not None
        ]
        if not found:
            return {}
        alpha = np.array(found)  # (s, n)
        return {
            state: alpha[:, self.wrong[regime] == place].ravel()
            for place, state in enumerate(STATES)
            if (self.wrong[regime] == place).any()
        }

    def csv(self) -> str:
        """A row for each cell that is done."""
        stream = io.StringIO()
        columns = [f"alpha_{s}_p{round(100 * q)}" for s in STATES for q in _QUANTILES]
        head = ("regime", "mix", "size", "seed", "step", "val_loss", *TASKS, *columns)
        write = csv.writer(stream, lineterminator="\n").writerow
        write(head)
        for cell, content in self.done.items():
            accuracies = [100 * np.mean([int(c) for c in content[t]]) for t in TASKS]
            write(
                [
                    *(cell.regime, cell.mix, cell.size, cell.seed),
                    *(content["step"], content["val_loss"]),
                    *(f"{value:.2f}" for value in accuracies),
                    *self._quantiles(cell, content["alpha"]),
                ]
            )
        return stream.getvalue()

    def _quantiles(self, cell: Cell, alpha: list[float] | None) -> list[str]:
        cells = []
        for place in range(len(WRONG)):
            own = self.wrong[cell.regime] == place
            if alpha is None or not own.any():
                cells += [""] * len(_QUANTILES)
            else:
                found = np.quantile(np.array(alpha)[own], _QUANTILES)
                cells += [f"{value:.3f}" for value in found]
        return cells


def ceiling(regime: str, task: str, row: str = "") -> float:
    """Best expected accuracy of what a row is given, percent."""
    return expected_ceilings(*REGIMES[regime])[task][_STREAM_OF_ROW.get(row, "both")]


def accuracy_table(
    results: Results, regime: str, rows: Sequence[str], sizes: Sequence[int], task: str
) -> Grid:
    """Accuracies of one regime: rows by number of training clips."""
    lines = []
    for row in rows:
        found = [results.accuracy(regime, row, size, task) for size in sizes]
        if any(found):
            lines.append([row, *map(_cell, found), f"{ceiling(regime, task, row):.1f}"])
    head = ["clips in training", *map(str, sizes), "ceiling"]
    return Grid(f"{regime}, {task}, percent", head, lines)


def difference_table(
    results: Results,
    regimes: Sequence[str],
    mixes: tuple[str, str],
    sizes: Sequence[int],
    task: str,
) -> Grid:
    """One mix minus another, regime by regime."""
    lines = [
        [
            regime,
            *(_cell(results.difference(regime, mixes, s, task), "+") for s in sizes),
        ]
        for regime in regimes
    ]
    title = f"{mixes[0]} minus {mixes[1]}, {task}, points"
    return Grid(title, ["clips in training", *map(str, sizes)], lines)


def alpha_table(
    results: Results, regimes: Sequence[str], mixes: Sequence[str], size: int
) -> Grid:
    """Weight of the video by mix, regime and what fails: median and 10 to 90 %."""
    lines = []
    for regime in regimes:
        for mix in mixes:
            found = results.alphas(regime, mix, size)
            if found:
                cells = [_spread(found.get(state)) for state in STATES]
                lines.append([f"{regime}, {mix}", *cells])
    title = f"alpha of the video after {size} clips: median (10 to 90 % of test clips)"
    return Grid(title, ["regime, mix", *STATES], lines)


def _spread(alpha: NDArray | None) -> str:
    if alpha is None:
        return "—"
    low, middle, high = np.quantile(alpha, _QUANTILES)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _cell(found: Interval | None, sign: str = "") -> str:
    if found is None:
        return "—"
    return f"{found.mean:{sign}.1f} ± {(found.high - found.low) / 2:.1f}"
