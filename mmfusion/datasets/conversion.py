"""The parts that the converters in ``tools/data`` share: report, paths, workers, end.

Silent, like the rest of the package: the tools print what these functions return.
"""

import argparse
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np

from mmfusion.datasets.annotation import write_annotation
from mmfusion.utils.commands import command_parser
from mmfusion.utils.paths import write_atomic

Task = TypeVar("Task")
Result = TypeVar("Result")
_SHOWN = 5  # names given as examples in the report; the log has them all


@dataclass
class ConversionReport:
    """Everything a converter found, before it writes anything.

    Args:
        metainfo: of the annotation; its classes have the task ``action``.
        records: annotation records of the clips that are kept.
        dropped: (clip, reason) of those that are not.
        clamped: clips whose end lay beyond the files that exist.
        missing_frames: by sequence, how many frames of its clips have no file.
        valid: by hand, (frames in which it is valid, frames); of whole sequences.
        faults: files that cannot be read, with the reason.
        notes: further lines for the reader.
    """

    metainfo: dict[str, Any]
    records: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    clamped: list[str] = field(default_factory=list)
    missing_frames: dict[str, int] = field(default_factory=dict)
    valid: dict[str, tuple[int, int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Class names of the task ``action``; none where no clip has a label."""
        return self.metainfo["classes"].get("action", [])

    def count_hands(self, masks: Iterable[np.ndarray]) -> None:
        """Fill in ``valid`` from the masks (t, hands[, joints]) of all sequences.

        A hand counts as valid where any joint of it is.
        """
        hands = self.metainfo["skeleton"]["hands"]
        seen = [mask if mask.ndim == 2 else mask.any(axis=-1) for mask in masks]
        mask = np.concatenate([np.zeros((0, len(hands)), bool), *seen])
        for hand, column in zip(hands, mask.T, strict=True):
            self.valid[hand] = (int(column.sum()), len(column))

    def text(self, *, every: bool = False) -> str:
        """The report as lines; with ``every``, all names instead of a few."""
        shown = None if every else _SHOWN
        reasons = Counter(reason for _, reason in self.dropped)
        lines = [f"{self.metainfo['dataset']}: {len(self.records)} clips", ""]
        lines += text_table(self._split_rows())
        lines += ["", "clips per class"] + text_table(self.class_rows())
        missing = [f"{name} {n}" for name, n in self.missing_frames.items()]
        total = sum(self.missing_frames.values())
        lines += ["", f"frames without a file: {total}{in_brackets(missing, shown)}"]
        for hand, (valid, frames) in self.valid.items():
            share = f"{100 * valid / frames:.2f} %" if frames else "none"
            lines.append(f"hand valid, {hand}: {share} of {frames} frames")
        clamped = in_brackets(self.clamped, shown)
        lines.append(f"clamped ends: {len(self.clamped)}{clamped}")
        lines.append(f"dropped clips: {len(self.dropped)}")
        for reason, count in reasons.most_common():
            clips = [clip for clip, why in self.dropped if why == reason]
            lines.append(f"  {count} {reason}{in_brackets(clips, shown)}")
        lines.append(f"faulty files: {len(self.faults)}")
        lines += [f"  {fault}" for fault in self.faults[:shown]]
        return "\n".join(lines + self.notes)

    def _split_rows(self) -> list[list[str]]:
        """Per split: clips, sequences, frames, length in frames, labelled clips."""
        rows = [["split", "clips", "sequences", "frames", "min/median/max", "labelled"]]
        for split in _splits(self.records):
            records = [r for r in self.records if r["split"] == split]
            lengths = [
                record["end_frame"] - record["start_frame"] + 1
                for record in records
                if "end_frame" in record
            ]
            frames = ["-", "-"]  # whole videos, which nobody has opened
            if lengths:
                span = f"{min(lengths)}/{median(lengths):g}/{max(lengths)}"
                frames = [str(sum(lengths)), span]
            groups = str(len({r["group"] for r in records}))
            labelled = str(sum(bool(r["label"]) for r in records))
            rows.append([split, str(len(records)), groups, *frames, labelled])
        return rows

    def class_rows(self) -> list[list[str]]:
        """Per class of the task ``action``: clips in every split that has labels."""
        splits = _splits(record for record in self.records if record["label"])
        counts = Counter(
            (r["split"], r["label"]["action"]) for r in self.records if r["label"]
        )
        rows = [["class", *splits]]
        for number, name in enumerate(self.classes):
            rows.append([name, *(str(counts[split, number]) for split in splits)])
        return rows


def _splits(records: Iterable[dict[str, Any]]) -> list[str]:
    """Splits that occur, the usual ones first and in their usual order."""
    order = {"train": 0, "val": 1, "test": 2}
    found = {record["split"] for record in records}
    return sorted(found, key=lambda split: (order.get(split, 3), split))


def text_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned text: the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def in_brackets(names: Sequence[str], shown: int | None) -> str:
    """`` (a, b, ... )`` for a line of the report; nothing without names."""
    if not names:
        return ""
    more = ", ..." if shown is not None and len(names) > shown else ""
    return f" ({', '.join(names[:shown])}{more})"


def data_root_of(root: Path, out: Path) -> Path:
    """The folder to give as ``data_root``: the nearest that holds both.

    Paths of an annotation are relative to one folder and never leave it.
    """
    return Path(os.path.commonpath([os.path.abspath(root), os.path.abspath(out)]))


def relative_to(data_root: Path, path: Path) -> str:
    """``path`` relative to the data root, with forward slashes; links are kept."""
    root = os.path.abspath(data_root)
    return Path(os.path.abspath(path)).relative_to(root).as_posix()


def parser_of(
    description: str, *, with_caches: bool = False
) -> argparse.ArgumentParser:
    """A parser with the options that every converter has.

    ``with_caches`` adds those of a converter that keeps caches of many files.
    """
    parser = command_parser(description)
    parser.add_argument("--root", type=Path, required=True, help="the data root")
    parser.add_argument("--out", type=Path, help="default: ROOT/mmfusion")
    parser.add_argument("--dry-run", action="store_true", help="report, write nothing")
    if with_caches:
        parser.add_argument("--workers", type=int, default=0, help="processes")
        parser.add_argument(
            "--drop-faulty",
            action="store_true",
            help="write although files are faulty, without their sequences",
        )
        parser.add_argument(
            "--overwrite", action="store_true", help="write complete caches again, too"
        )
    return parser


def parse(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Arguments of :func:`parser_of`, with ``out`` and the annotation's data_root."""
    args = parser.parse_args(argv)
    args.out = args.out or args.root / "mmfusion"
    args.data_root = data_root_of(args.root, args.out)
    return args


def finish(
    report: ConversionReport,
    args: argparse.Namespace,
    argv: Sequence[str] | None,
    say: Callable[[str], None],
    *,
    obstacle: str = "",
    write_caches: Callable[[], None] | None = None,
) -> int:
    """Tell the report and write ``annotation.json`` and ``prepare.log``; an exit code.

    Args:
        args: of :func:`parse`; with ``dry_run`` nothing is written.
        argv: arguments of the tool, for the log; None means the command line's.
        say: prints a text.
        obstacle: reason not to write, with the remedy; "" where there is none.
        write_caches: called before the annotation is written.
    """
    say(report.text())
    if args.dry_run:
        return 0
    if report.faults and not args.drop_faulty:
        obstacle = "mend the faulty files, or go on without their clips: --drop-faulty"
    if obstacle or not report.records:
        say(f"nothing written: {obstacle or 'there is no clip'}")
        return 1
    if write_caches is not None:
        write_caches()
    ann_file = args.out / "annotation.json"
    folders = {
        record.get("frame_dir") or os.path.dirname(record["video"])
        for record in report.records
        if record.get("frame_dir") or record.get("video")
    }
    links = link_roots_of(args.data_root, [args.data_root / name for name in folders])
    name = relative_to(args.data_root, ann_file)
    hint = f"data_root={str(args.data_root)!r}, ann_file={name!r}"
    hint += f", link_roots={links}" if links else ""
    write_annotation(ann_file, report.metainfo, report.records)
    command = " ".join(["prepare.py", *(sys.argv[1:] if argv is None else argv)])
    log = f"{command}\nin a config: {hint}\n{report.text(every=True)}\n"
    write_atomic(args.out / "prepare.log", log.encode())
    say(f"wrote {ann_file}; in a config: {hint}")
    return 0


def link_roots_of(data_root: Path, folders: Iterable[Path]) -> list[str]:
    """Folders outside the data root to which links lead, to give as ``link_roots``."""
    real_root = data_root.resolve()
    real = [folder.resolve() for folder in folders]
    outside = [folder for folder in real if not folder.is_relative_to(real_root)]
    return [os.path.commonpath(outside)] if outside else []


def clear_temporaries(folder: Path) -> None:
    """Remove what a killed run of a converter left half-written in ``folder``."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def run_tasks(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int
) -> Iterator[Result]:
    """``function`` of every task, in their order, by ``workers`` processes.

    With 0 or 1 workers everything runs in this process. Function and tasks must be
    picklable: workers are forked from a clean server that has imported this package.
    """
    if workers < 2 or len(tasks) < 2:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mmfusion.datasets"])
    size = max(1, min(16, len(tasks) // (workers * 4)))
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(function, tasks, chunksize=size)
