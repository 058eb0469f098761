"""Check videos, and write them small and quick to seek, whole or in chunks.

    python tools/data/videos/prepare.py data/ssv2/webm --out data/ssv2/mp4 --dry-run
    python tools/data/videos/prepare.py data/ssv2/webm --out data/ssv2/mp4 --workers 16
    python tools/data/videos/prepare.py data/k400/train.csv --root data/k400 \
        --out data/k400_256 --short-side 256
    python tools/data/videos/prepare.py data/ek100/videos --out data/ek100/chunks \
        --chunk-seconds 15 --fps 30

INPUT is a folder, read with all below it (files of other kinds are counted), or a list: one path a line, relative to
--root, with or without a label behind it. Outputs are H.264 in mp4 without sound, whose
short side is --short-side pixels (never enlarged), upright, with a keyframe at least
every --keyframe-interval frames. `a/b.webm` becomes `OUT/a/b.mp4`; with
--chunk-seconds, `P01/videos/P01_01.MP4` becomes `OUT/P01/P01_01.MP4/{0,15,...}.MP4`.

The same command continues a run that was stopped or killed: what is done (same source,
same settings, output there) is not done again. A broken video is listed with its reason
in OUT/report.csv, leaves no output, and is tried again with --retry. `--dry-run` only
opens each video, `--check` decodes every frame of it, `--verify` compares the outputs
with the checksums in OUT/manifest.jsonl. Exit codes: 0 all is well, 1 videos are broken
(or outputs, with --verify), 2 wrong command or data.
"""

import argparse
import csv
import io
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    track,
)

from mmfusion.datasets.media.video_encoding import EncodeSettings
from mmfusion.datasets.media.video_files import VIDEO_SUFFIXES
from mmfusion.datasets.media.video_preparation import (
    Job,
    OutputFolder,
    Record,
    run_jobs,
)
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.paths import unsafe_reason, write_atomic
from mmfusion.utils.errors import InputError
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import read_lines

COLUMNS = "name error bytes frames seconds fps width height display closed".split()
_LABEL = re.compile(r"[\s,]+-?\d+(?:[\s,]+-?\d+)*\s*$")
_SHOWN = 5


def find_videos(source: Path, root: Path | None) -> tuple[Path, list[str], Counter]:
    """The folder that names are relative to, the names, and what was passed over.

    Raises:
        ValueError: a line of the list has no plain relative path, or nothing is there.
    """
    passed: Counter[str] = Counter()
    if source.is_dir():
        names = [path.relative_to(source).as_posix() for path in _found(source, passed)]
        folder = source
    elif source.is_file():
        folder = root or source.parent
        lines = list(_listed(source, folder))
        names = list(dict.fromkeys(lines))
        passed["lines that name a video again"] += len(lines) - len(names)
    else:
        raise InputError(f"{source} is neither a folder of videos nor a list of them")
    if not names:
        seen = f"; passed over: {told(passed)}" if passed else ""
        raise InputError(f"{source} has no video (known: {' '.join(VIDEO_SUFFIXES)}){seen}")
    return folder, names, +passed


def _found(source: Path, passed: Counter[str]) -> list[Path]:
    """Videos below a folder; what else is there is counted in ``passed``."""

    def closed(error: OSError) -> None:
        passed[f"folders that cannot be read ({error.strerror})"] += 1

    videos = []
    for folder, inner, files in os.walk(source, onerror=closed):
        links = sum((Path(folder) / name).is_symlink() for name in inner)
        passed["links to folders"] += links
        for path in (Path(folder) / name for name in files):
            if path.name.startswith("."):
                passed["hidden files"] += 1
            elif path.suffix.lower() in VIDEO_SUFFIXES:
                videos.append(path)
            else:
                passed[f"*{path.suffix.lower()}" if path.suffix else "no suffix"] += 1
    return sorted(videos)


def told(passed: Counter[str]) -> str:
    """Kinds of files with their counts, the most frequent first."""
    return ", ".join(f"{count} {kind}" for kind, count in passed.most_common() if count)


def _listed(file: Path, folder: Path) -> Iterable[str]:
    for number, text in read_lines(file, error_type=InputError):
        if text.startswith("#"):
            continue
        whole = len(text) < 4096 and os.path.exists(folder / text)
        name = text if whole else _LABEL.sub("", text)
        if os.path.isabs(name) and Path(name).is_relative_to(folder.resolve()):
            name = Path(name).relative_to(folder.resolve()).as_posix()
        reason = unsafe_reason(name)
        if reason:
            raise InputError(
                f"{file}:{number}: {shown(name)}: {reason}; expected a path relative to"
                f" {folder} (--root)"
            )
        yield name


def make_jobs(folder: Path, names: Sequence[str], args: argparse.Namespace) -> list:
    """A job for each video; two that would be written to one place are an error."""
    jobs: dict[str, Job] = {}
    for name in names:
        plain = Path(name)
        if args.chunk_seconds:
            parent = plain.parent
            parent = parent.parent if parent.name == "videos" else parent
            target = args.out / parent / f"{plain.stem}.MP4"
        else:
            target = args.out / plain.with_suffix(".mp4")
        job = Job(name, str(folder / name), str(target))
        other = jobs.setdefault(job.target, job)
        if other is not job:
            raise InputError(
                f"{other.name!r} and {name!r} would both be written to {job.target};"
                " prepare them into two folders"
            )
    return list(jobs.values())


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    default = EncodeSettings()
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("input", type=Path, metavar="INPUT", help="a folder of videos, or a list")
    add("--root", type=Path, help="what a list's paths are relative to (its folder)")
    add("--out", type=Path, required=True)
    add("--short-side", type=int, default=default.short_side, help="(%(default)s)")
    interval = default.keyframe_interval
    add("--keyframe-interval", type=int, default=interval, help="frames (%(default)s)")
    add("--fps", type=float, help="of the outputs; else every frame keeps its time")
    add("--chunk-seconds", type=float, help="cut into files of that length")
    add("--crf", type=int, default=default.crf, help="quality (%(default)s)")
    add("--preset", default=default.preset, help="of x264 (%(default)s)")
    add("--workers", type=int, default=min(8, os.cpu_count() or 1))
    add("--timeout", type=float, default=3600.0, help="seconds a video (%(default)g)")
    add("--max-bad", type=int, metavar="N", help="stop after more than N broken videos")
    add("--retry", action="store_true", help="try what was broken again")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="open, and write nothing")
    what.add_argument("--check", action="store_true", help="decode, and write nothing")
    what.add_argument("--verify", action="store_true", help="compare checksums")
    args = parser.parse_args(argv)
    for name in ("workers", "timeout"):
        if getattr(args, name) <= 0:
            parser.error(f"--{name} is {getattr(args, name)}, expected more than 0")
    return args


def summary(records: Sequence[Record], *, tried: str) -> list[str]:
    """Counts, sizes, and what is broken by reason."""
    good = [record for record in records if record["error"] is None]
    bad = [record for record in records if record["error"] is not None]
    seconds = sum(record["seconds"] for record in good)
    lines = [
        f"{len(records)} videos: {len(good)} {tried}, {len(bad)} broken;"
        f" {seconds / 3600:.2f} hours, {sum(r['bytes'] for r in good) / 1e9:.3f} GB"
    ]
    if good:
        sizes = Counter(f"{r['width']}x{r['height']}" for r in good).most_common(_SHOWN)
        rates = Counter(f"{r['fps']:g}" for r in good).most_common(_SHOWN)
        lines.append("size: " + ", ".join(f"{size} ({n})" for size, n in sizes))
        lines.append("frames a second: " + ", ".join(f"{r} ({n})" for r, n in rates))
        turned = sum(record["display"] != "" for record in good)
        lines.append(
            f"turned, cut or of other than square pixels: {turned}; open groups of"
            f" pictures: {sum(not record['closed'] for record in good)}"
        )
    for reason, count in Counter(record["error"] for record in bad).most_common():
        names = [record["name"] for record in bad if record["error"] == reason]
        more = ", ..." if count > _SHOWN else ""
        lines.append(f"  {count} broken: {reason} ({', '.join(names[:_SHOWN])}{more})")
    return lines


def write_report(
    records: Sequence[Record], folder: Path, passed: Counter[str]
) -> None:
    """report.csv, one row a video, and report.json, the counts."""
    stream = io.StringIO()
    rows = csv.DictWriter(stream, COLUMNS, extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    rows.writerows({**record, "error": record["error"] or ""} for record in records)
    write_atomic(folder / "report.csv", stream.getvalue().encode())
    bad = Counter(record["error"] for record in records if record["error"])
    counts = {
        "videos": len(records),
        "good": len(records) - bad.total(),
        "broken": dict(bad),
        "outputs": sum(len(record.get("outputs", ())) for record in records),
        "passed_over": dict(passed),
    }
    write_atomic(folder / "report.json", (json.dumps(counts, indent=1) + "\n").encode())


def work(
    jobs: Sequence[Job],
    args: argparse.Namespace,
    mode: str,
    console: Console,
    done: OutputFolder | None,
) -> list[Record]:
    """Run the jobs under a bar, or a line a minute, and keep each record."""
    records: list[Record] = []
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    start = said = time.monotonic()
    bad, seconds = 0, 0.0
    found = run_jobs(
        jobs,
        settings_of(args),
        mode=mode,
        num_workers=args.workers,
        timeout=args.timeout,
    )
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=len(jobs))
        for record in found:
            records.append(record)
            if done is not None:
                done.add(record)
            now = time.monotonic()
            spent, count = max(now - start, 1e-9), len(records)
            seconds += record.get("seconds", 0.0)
            rate = f"{count / spent:.1f} videos/s, {seconds / spent:.0f}x"
            bar.update(task, advance=1, description=rate)
            if not console.is_terminal and now - said > 60:
                said, left = now, spent / count * (len(jobs) - count)
                _say(console, f"{count}/{len(jobs)}, {rate}, {left:.0f} s left")
            bad += record["error"] is not None
            if args.max_bad is not None and bad > args.max_bad:
                raise InputError(
                    f"{bad} videos are broken, more than --max-bad {args.max_bad}; the"
                    f" last: {record['name']}: {record['error']}"
                )
    return records


def settings_of(args: argparse.Namespace) -> EncodeSettings:
    """Settings of the encoder that the command gives."""
    names = EncodeSettings.__dataclass_fields__
    return EncodeSettings(**{name: getattr(args, name) for name in names})


def prepare(
    jobs: Sequence[Job],
    args: argparse.Namespace,
    console: Console,
    passed: Counter[str],
) -> int:
    """Encode what is not done, and report on everything."""
    with closing(OutputFolder(args.out, settings_of(args))) as folder:
        pending = folder.pending(jobs, retry=args.retry)
        _say(console, f"{len(jobs)} videos, {len(jobs) - len(pending)} done before")
        folder.sweep(pending)
        fresh = work(pending, args, "prepare", console, folder)
        records = [folder.records[job.name] for job in jobs]
        write_report(records, args.out, passed)
    encoded, adopted = (
        sum(r.get(key, 0) for r in fresh) for key in ("encoded", "adopted")
    )
    _say(
        console,
        *summary(records, tried="prepared"),
        f"files written now: {encoded}; taken over from a run that was cut off:"
        f" {adopted}",
        f"wrote {args.out / 'report.csv'} and report.json",
    )
    return int(any(record["error"] for record in records))


def verify(args: argparse.Namespace, console: Console) -> int:
    """Compare every output with its checksum."""
    with closing(OutputFolder(args.out, settings_of(args))) as folder:
        total = sum(len(record["outputs"]) for record in folder.records.values())
        found = list(track(folder.damaged(), "", total=total, console=console))
    faults = [fault for fault in found if fault]
    _say(console, *faults, f"{total} outputs, {len(faults)} damaged or missing")
    return int(bool(faults))


def _say(console: Console, *lines: Any) -> None:
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def run(args: argparse.Namespace, console: Console) -> int:
    """Do what the options ask for."""
    settings_of(args)
    if args.verify:
        return verify(args, console)
    folder, names, passed = find_videos(args.input, args.root)
    if passed:
        _say(console, f"passed over: {told(passed)}")
    jobs = make_jobs(folder, names, args)
    if not (args.dry_run or args.check):
        return prepare(jobs, args, console, passed)
    mode = "check" if args.check else "look"
    records = work(jobs, args, mode, console, None)
    _say(console, *summary(records, tried="decoded" if args.check else "open"))
    return int(any(record["error"] for record in records))


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    try:
        return run(parse_args(argv), Console())
    except KeyboardInterrupt:
        print("stopped; the same command continues", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
