"""Tables of results on the screen, in Markdown and in JSON."""

import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from mmfusion.analysis.paper import is_of_paper_a, paper_accuracy, resolution_of_paper
from mmfusion.evaluation.functional import Interval, accuracy_interval
from mmfusion.evaluation.statistics import (
    MethodResult,
    PairTest,
    all_pairs,
    better_baseline,
    compare_pairs,
    plain_rivals,
    resolution,
    table_rows,
)

NONE = "—"
FORMATS = ("text", "markdown", "latex", "csv")
_ENDINGS = {"latex": "tex", "csv": "csv"}
_GREEK = {"δ": r"\delta", "Δ": r"\Delta"}
_ESCAPES = str.maketrans(
    {
        **{one: f"\\{one}" for one in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "—": "---",
    }
)
_WIDE, _MOST_WIDTH = 130, 10_000  # columns: of a page, of a table that nothing cuts


@dataclass(frozen=True)
class Grid:
    """Cells of one table, the first row of them its head."""

    title: str
    head: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """A Markdown table under its title."""
        lines = [self.head, ["---"] + ["---:"] * (len(self.head) - 1), *self.rows]
        body = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
        return f"**{self.title}**\n\n{body}\n"

    def csv(self) -> str:
        """Comma-separated rows under the head, without the title."""
        stream = io.StringIO()
        rows = [["" if x == NONE else x for x in row] for row in self.rows]
        csv.writer(stream, lineterminator="\n").writerows([self.head, *rows])
        return stream.getvalue()

    def latex(self) -> str:
        """A ``table`` with its title as caption; it needs the package booktabs."""
        head, *rows = (
            " & ".join(_latex(cell) for cell in cells) + r" \\"
            for cells in (self.head, *self.rows)
        )
        columns = "l" + "r" * (len(self.head) - 1)
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex(self.title)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            head,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def show(self, console: Console) -> None:
        """Every number whole; only the first column wraps, where a page is too small.

        A terminal narrower than the numbers breaks the lines itself.
        """
        table = Table(title=self.title, title_justify="left", box=SIMPLE_HEAD)
        for number, name in enumerate(self.head):
            side: Any = "right" if number else "left"
            # rich takes the longest word for the least width, whatever may wrap
            cells = [name, *(row[number] for row in self.rows)]
            least = max(map(cell_len, cells)) if number else None
            table.add_column(name, justify=side, no_wrap=number > 0, min_width=least)
        for cells in self.rows:
            table.add_row(*cells)
        whole = console.options.update(max_width=_MOST_WIDTH)
        needed = console.measure(table, options=whole)
        console.width = max(console.width, min(needed.maximum, _WIDE), needed.minimum)
        console.print(table)


class Printed(Protocol):
    """Tables that belong together, with notes on them."""

    def grids(self) -> list[Grid]:
        """The tables."""

    def notes(self) -> list[str]:
        """Sentences below them."""

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values."""


class Report:
    """Tables and notes of one group of methods.

    Args:
        title: of the table.
        results: methods that were tested on the same clips.
        ceilings: by method name, the best accuracy its streams allow, percent.
        seconds: by method name, training and testing of one run, on average.
        subsets: by name, ids of clips whose accuracy is told by itself.
        remarks: sentences on its rows, for the notes.
        with_paper: show the paper's accuracy in a column of its own.
    """

    def __init__(
        self,
        title: str,
        results: Sequence[MethodResult],
        *,
        ceilings: Mapping[str, float] | None = None,
        seconds: Mapping[str, float] | None = None,
        subsets: Mapping[str, Collection[str]] | None = None,
        with_paper: bool = False,
        remarks: Sequence[str] = (),
    ) -> None:
        self.suffix = common_suffix([result.name for result in results])
        self.title = f"{self.suffix.lstrip('_')}: {title}" if self.suffix else title
        self.ceilings = dict(ceilings or {})
        self.seconds = dict(seconds or {})
        self.subsets = dict(subsets or {})
        self.with_paper = with_paper
        self.rows = table_rows(results)
        self.remarks = tuple(remarks)
        trained = [result for result in results if result.trained]
        self.pairs = compare_pairs(all_pairs(trained))
        self.plain = compare_pairs(plain_rivals(results))
        baseline = better_baseline(results)
        self.baseline = None if baseline is None else baseline.name
        fusions = [r for r in trained if len(r.streams) > 1]
        self.gains = (
            [] if baseline is None else compare_pairs([(f, baseline) for f in fusions])
        )
        best = self.rows[0]
        self.resolution = resolution(len(best.result.ids), best.top1.mean)

    def grids(self) -> list[Grid]:
        """The paper's columns, gains over the better single stream, all pairs."""
        grids = [self._accuracies()]
        if self.rows[0].result.folds is not None:
            grids.append(self._by_fold())
        if self.gains:
            title = "Fusion minus the better single stream"
            grids.append(self._tests(title, self.gains))
        if self.plain:
            title = "Model minus what adds its parts up, or is linear"
            grids.append(self._tests(title, self.plain))
        if len(self.pairs) > 1:
            grids.append(self._tests("Every pair, the better one first", self.pairs))
        return grids

    def notes(self) -> list[str]:
        """Meaning of the columns, and the differences that so many clips can show."""
        first = self.rows[0].result
        test, spread = "exact McNemar", "clips"
        if len(first.seeds) > 1:
            test, spread = "paired permutation over clips", "clips and seeds"
        if first.folds is not None:
            spread += ", or over folds where these differ more"
        notes = [
            f"Intervals: 95 %, over {spread}. p: {test}, the same clips for both; "
            "Holm: adjusted for the tests of its table.",
            self.resolution,
        ]
        if self.seconds:
            notes.append("s a run: training and testing on this machine, on average.")
        streams = sorted({s for row in self.rows for s in row.deltas}, reverse=True)
        notes += [
            f"δ_{stream[0].upper()}: top-1 minus that of the best model of {stream}"
            f" alone, in points; Δ_{stream[0].upper()}: the same in percent of that"
            " model's top-1."
            for stream in streams
        ]
        notes += [*self.remarks, *map(self._verdict, self.plain)]
        if any(is_of_paper_a(row.result.name) for row in self.rows):
            notes.append(resolution_of_paper())
        return notes

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, percent and points."""
        return {
            "title": self.title,
            "methods": [
                {
                    "method": row.result.name,
                    "streams": list(row.result.streams),
                    "trained": row.result.trained,
                    "top1": row.top1._asdict(),
                    "per_seed": {
                        str(seed): 100.0 * float(correct.mean())
                        for seed, correct in zip(
                            row.result.seeds, row.result.correct, strict=True
                        )
                    },
                    "delta": {s: list(values) for s, values in row.deltas.items()},
                    "per_fold": fold_accuracies(row.result),
                    "subsets": {
                        name: {"top1": interval._asdict(), "num_clips": count}
                        for name, (interval, count) in self._subset(row.result).items()
                    },
                    "num_clips": len(row.result.ids),
                    "seconds_a_run": self.seconds.get(row.result.name),
                    "ceiling": self.ceilings.get(row.result.name),
                    "paper": paper_accuracy(row.result.name),
                }
                for row in self.rows
            ],
            "better_single_stream": self.baseline,
            "gains": [_pair_dict(pair) for pair in self.gains],
            "plain_baselines": [_pair_dict(pair) for pair in self.plain],
            "pairs": [_pair_dict(pair) for pair in self.pairs],
            "notes": self.notes(),
        }

    def _accuracies(self) -> Grid:
        streams = sorted({s for row in self.rows for s in row.deltas}, reverse=True)
        head = ["Method", "Top-1 (%)", "95 % interval"]
        for stream in streams:
            letter = stream[0].upper()
            head += [f"δ_{letter}", f"Δ_{letter} (%)"]
        sizes = self._subset(self.rows[0].result)
        head += [f"{name} (n = {count})" for name, (_, count) in sizes.items()]
        head += ["n", "seeds"]
        head += ["ceiling (%)", "of ceiling (%)"] if self.ceilings else []
        head += ["s a run"] if self.seconds else []
        head += ["paper (%)"] if self.with_paper else []
        rows = []
        for row in self.rows:
            name, top1 = row.result.name, row.top1
            cells = [name.removesuffix(self.suffix), f"{top1.mean:.2f}"]
            cells.append(f"{top1.low:.1f} to {top1.high:.1f}")
            for stream in streams:
                points, relative = row.deltas.get(stream, (None, None))
                cells += [_cell(points, "+.2f"), _cell(relative, "+.2f")]
            found = self._subset(row.result).values()
            cells += [
                f"{one.mean:.1f} ({one.low:.1f} to {one.high:.1f})" for one, _ in found
            ]
            cells += [str(len(row.result.ids)), str(len(row.result.seeds))]
            if self.ceilings:
                bound = self.ceilings.get(name)
                share = None if not bound else 100 * top1.mean / bound
                cells += [_cell(bound, ".1f"), _cell(share, ".1f")]
            if self.seconds:
                cells.append(_cell(self.seconds.get(name), ".0f"))
            if self.with_paper:
                cells.append(_cell(paper_accuracy(name), ".2f"))
            rows.append(cells)
        return Grid(self.title, head, rows)

    def _subset(self, result: MethodResult) -> dict[str, tuple[Interval, int]]:
        """Accuracy and number of the clips of each subset, folds left aside."""
        answers = {name: result.of(ids) for name, ids in self.subsets.items()}
        return {
            name: (accuracy_interval(correct), correct.shape[1])
            for name, correct in answers.items()
        }

    def _by_fold(self) -> Grid:
        """Top-1 of each fold in percent, the mean over seeds."""
        counts = Counter(self.rows[0].result.folds)
        numbers = sorted(counts)
        head = ["Method", *(f"fold {n} (n = {counts[n]})" for n in numbers)]
        rows = []
        for row in self.rows:
            found = fold_accuracies(row.result)
            cells = [f"{found[str(number)]:.1f}" for number in numbers]
            rows.append([row.result.name.removesuffix(self.suffix), *cells])
        return Grid("Top-1 (%) of each fold", head, rows)

    def _verdict(self, pair: PairTest) -> str:
        """Sentence on a model beside a row that needs no training of it."""
        first, second = (
            name.removesuffix(self.suffix) for name in (pair.first, pair.second)
        )
        found = pair.difference
        return (
            f"{first} {pair.verdict} {second}: {found.mean:+.2f} points"
            f" ({found.low:+.1f} to {found.high:+.1f})."
        )

    def _tests(self, title: str, pairs: Sequence[PairTest]) -> Grid:
        rows = [
            [
                f"{pair.first.removesuffix(self.suffix)} - "
                f"{pair.second.removesuffix(self.suffix)}",
                f"{pair.difference.mean:+.2f}",
                f"{pair.difference.low:+.1f} to {pair.difference.high:+.1f}",
                f"{pair.p_value:.4f}",
                f"{pair.p_holm:.4f}",
            ]
            for pair in pairs
        ]
        return Grid(title, ["Methods", "points", "95 % interval", "p", "Holm"], rows)


def fold_accuracies(result: MethodResult) -> dict[str, float]:
    """Top-1 in percent by the number of the fold; empty without folds."""
    folds = np.array(result.folds or [], np.int64)  # (n,)
    return {
        str(number): 100.0 * float(result.correct[:, folds == number].mean())
        for number in np.unique(folds).tolist()
    }


def common_suffix(names: Sequence[str]) -> str:
    """End that all names share, from an underscore on: ``_nano_tinyego``."""
    shared = os.path.commonprefix([name[::-1] for name in names])[::-1]
    start = shared.find("_")
    return shared[start:] if len(names) > 1 and start >= 0 else ""


def show(reports: Sequence[Printed], console: Console) -> None:
    """Print all tables and their notes."""
    for report in reports:
        for grid in report.grids():
            grid.show(console)
        for note in report.notes():
            console.print(note, markup=False, highlight=False)
        console.print()


def text_of(reports: Sequence[Printed], form: str) -> str:
    """All tables in one of :data:`FORMATS` but ``text``; CSV has no notes."""
    parts = []
    for report in reports:
        grids, notes = report.grids(), report.notes()
        if form == "csv":
            parts += [grid.csv() for grid in grids]
        elif form == "latex":
            parts += [grid.latex() for grid in grids]
            parts += [f"% {note}\n" for note in notes]
        else:
            parts += [grid.markdown() for grid in grids]
            parts += [f"{note}\n" for note in notes]
    return "\n".join(parts)


def write(
    reports: Sequence[Printed], folder: Path, form: str = "text", *, name: str = "table"
) -> list[Path]:
    """Write <name>.md and <name>.json, and the file of another form; their paths."""
    content = json.dumps([r.as_dict() for r in reports], indent=1, allow_nan=False)
    files = {"md": text_of(reports, "markdown"), "json": content + "\n"}
    if form in _ENDINGS:
        files[_ENDINGS[form]] = text_of(reports, form)
    paths = {folder / f"{name}.{ending}": text for ending, text in files.items()}
    for path, text in paths.items():
        path.write_text(text)
    return [*paths]


def _latex(text: str) -> str:
    """Text with LaTeX's own characters escaped, Greek letters as mathematics."""
    found = re.sub(r"([δΔ])_(\w)", lambda m: f"${_GREEK[m[1]]}_{{{m[2]}}}$", text)
    parts = re.split(r"(\$\\\w+_\{\w\}\$)", found)
    return "".join(
        part if number % 2 else part.translate(_ESCAPES)
        for number, part in enumerate(parts)
    )


def _pair_dict(pair: PairTest) -> dict[str, Any]:
    return {**asdict(pair), "difference": pair.difference._asdict()}


def _cell(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)
