"""Report on EPIC-KITCHENS-100, and write its annotation file and vocabularies.

    python tools/data/ek100/prepare.py --root data/ek100 --dry-run
    python tools/data/ek100/prepare.py --root data/ek100
    python tools/data/ek100/prepare.py --root data/ek100 \
        --train-list rulstm/training.csv --media chunks --media-dir chunks

ROOT holds the csv files of epic-kitchens-100-annotations and, under ``videos/`` (or
--media-dir), the participants' folders; caches of hands and boxes in ``skeleton/`` and
``boxes/`` are used if they are there. The report comes first; with ``--dry-run`` that
is all. Else it writes, under --out: ``annotation.json`` with the clips whose media are
there, ``actions.csv`` (the action vocabulary in AVION's order), ``verbs.txt``,
``nouns.txt`` and ``prepare.log``, which has every name.
"""

import argparse
import csv
import io
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import track

from mmfusion.datasets.annotation import write_annotation
from mmfusion.datasets.conversion import (
    data_root_of,
    in_brackets,
    link_roots_of,
    parser_of,
    relative_to,
    text_table,
)
from mmfusion.layouts import epic_kitchens as epic
from mmfusion.layouts.epic_annotation import (
    MEDIA,
    EpicMedia,
    make_metainfo,
    make_record,
    read_vocabulary,
)
from mmfusion.utils.commands import errors_in_one_line
from mmfusion.utils.errors import MissingDataError
from mmfusion.utils.paths import write_atomic

_SHOWN = 5
NONE = "none"


class Split(NamedTuple):
    """One split: its segments as the csv has them."""

    name: str
    segments: list[epic.EpicSegment]
    unseen: tuple[str, ...]
    absent: dict[str, str]  # video -> path that is not there


class Data(NamedTuple):
    """Everything that the csv files say, and the files that are there."""

    classes: epic.EpicClasses
    pairs: list[tuple[int, int]]
    splits: list[Split]
    media: EpicMedia
    durations: dict[str, float]  # seconds, by video; empty without the file

    def metainfo(self) -> dict[str, Any]:
        """The metainfo of the annotation."""
        unseen = {person for split in self.splits for person in split.unseen}
        with_skeleton = self.media.skeleton_dir is not None
        return make_metainfo(
            self.classes, self.pairs, unseen, with_skeleton=with_skeleton
        )


def read_data(args: argparse.Namespace, console: Console) -> Data:
    """Read and check the csv files of every split that is there."""
    folder = args.root / args.annotation_dir
    classes = epic.read_classes(folder)
    actions = choose_vocabulary(args)
    pairs = []
    if actions != NONE:
        pairs = read_vocabulary(actions and args.root / actions, folder, classes)
    media = EpicMedia(
        args.media,
        args.media_dir,
        args.index_fps,
        args.chunk_seconds,
        _cache_dir(args.root, "skeleton", args.skeleton_dir),
        _cache_dir(args.root, "boxes", args.boxes_dir),
    )
    durations = {}
    if (folder / epic.VIDEO_FILE).is_file():
        durations = epic.read_durations(folder / epic.VIDEO_FILE)
    splits = []
    for name, file in epic.SEGMENT_FILES.items():
        path = folder / file
        if name == "train" and args.train_list:
            path = args.root / args.train_list
        elif not path.is_file():
            continue
        segments = epic.read_segments(path, classes, list_fps=args.list_fps)
        if not segments:
            continue
        if durations:
            epic.check_durations(segments, durations)
        epic.check_action_numbers(segments, pairs)
        absent = find_absent(name, segments, media, args.root, console)
        kept = [s for s in segments if args.keep_absent or s.video not in absent]
        media.check_caches(args.root, kept)
        splits.append(Split(name, segments, epic.read_unseen(folder, name), absent))
    if not splits:
        raise MissingDataError(
            f"{args.root} has none of {list(epic.SEGMENT_FILES.values())}"
        )
    return Data(classes, pairs, splits, media, durations)


def _cache_dir(root: Path, usual: str, asked: str | None) -> str | None:
    """The folder of caches that is asked for, or the usual one where it is there."""
    if asked is None:
        return usual if (root / usual).is_dir() else None
    return None if asked == NONE else asked


def find_absent(
    name: str,
    segments: Sequence[epic.EpicSegment],
    media: EpicMedia,
    root: Path,
    console: Console,
) -> dict[str, str]:
    """The videos of a split that are not there, each with the path looked for."""
    first = {one.video: one for one in reversed(segments)}
    absent = {}
    for video, one in track(sorted(first.items()), f"{name}: videos", console=console):
        files = media.pictures(one)
        path = files.get("video") or files["frame_dir"]
        if not os.path.exists(root / path):
            absent[video] = path
    return absent


def report(data: Data, *, tau_a: float, every: bool = False) -> str:
    """All that is known before anything is written.

    Args:
        data: what was read.
        tau_a: seconds before a start that anticipation may not see.
        every: all names instead of a few.
    """
    shown, splits = None if every else _SHOWN, data.splits
    lines = [f"ek100: {sum(len(s.segments) for s in splits)} clips", ""]
    lines += text_table(_sizes(data))
    lines += ["", "seconds (min/median/max), and against the published frame numbers"]
    lines += text_table(_times(splits))
    for split in splits:
        early = [s.narration_id for s in split.segments if s.start_sec <= tau_a]
        lines.append(
            f"{split.name}: {len(early)} starts leave no room at tau_a = {tau_a:g} s"
            f"{in_brackets(early, shown)}"
        )
    lines += ["", *_vocabulary(data, shown), ""]
    for split in splits:
        total = len({segment.video for segment in split.segments})
        clips = sum(one.video in split.absent for one in split.segments)
        lines.append(
            f"{split.name}: {len(split.absent)} of {total} videos are not there, with"
            f" {clips} clips{in_brackets(sorted(split.absent.values()), shown)}"
        )
    if every:
        lines += ["", "clips per class", *text_table(_classes(data))]
    return "\n".join(lines)


def _sizes(data: Data) -> list[list[str]]:
    head = ["split", "clips", "videos", "participants", "verbs", "nouns"]
    rows = [[*head, "unseen", "tail verb", "tail noun", "tail action"]]
    verbs, nouns = frozenset(data.classes.tail_verbs), frozenset(data.classes.tail_nouns)
    for split in data.splits:
        some, unseen = split.segments, frozenset(split.unseen)
        labelled = some[0].verb is not None
        counts = [
            len(some),
            len({s.video for s in some}),
            len({s.participant for s in some}),
        ]
        of_labels = [
            len({s.verb for s in some}),
            len({s.noun for s in some}),
            sum(s.participant in unseen for s in some),
            sum(s.verb in verbs for s in some),
            sum(s.noun in nouns for s in some),
            sum(s.verb in verbs or s.noun in nouns for s in some),
        ]
        hidden = ["-", "-", str(of_labels[2]), "-", "-", "-"]
        shown = [str(one) for one in of_labels] if labelled else hidden
        rows.append([split.name, *map(str, counts), *shown])
    return rows


def _times(splits: Sequence[Split]) -> list[list[str]]:
    rows = [["split", "length", "frame as second", "off by one", "off by more"]]
    for split in splits:
        lengths = [s.stop_sec - s.start_sec for s in split.segments]
        away: Counter = Counter()
        for one in split.segments:
            is_list = one.action is not None
            rate = epic.LIST_FPS if is_list else epic.index_fps(one.video)
            wanted = max(1, int(one.start_sec * rate + 1e-6))
            away[min(2, abs(wanted - one.start_frame))] += 1
        span = f"{min(lengths):.2f}/{median(lengths):.2f}/{max(lengths):.2f}"
        rows.append([split.name, span, *(str(away[number]) for number in range(3))])
    return rows


def _vocabulary(data: Data, shown: int | None) -> list[str]:
    """Number of actions, and those that training never shows."""
    pairs = set(data.pairs)
    seen: dict[str, Counter] = {
        split.name: Counter((s.verb, s.noun) for s in split.segments)
        for split in data.splits
        if split.segments[0].verb is not None
    }
    lines = [f"action vocabulary: {len(pairs)} pairs of verb and noun, AVION's order"]
    if not {"train", "val"} <= set(seen):
        return [*lines, "training or validation is not there: pairs not compared"]
    only = [pair for pair in seen["val"] if pair not in seen["train"]]
    clips = sum(seen["val"][pair] for pair in only)
    share = 100 * clips / seen["val"].total()
    names = data.classes.names(data.pairs)
    known = sorted(f"{names['verb'][v]} {names['noun'][n]}" for v, n in only)
    unknown = [pair for one in seen.values() for pair in one if pair not in pairs]
    return [
        *lines,
        f"  {len(seen['train'])} occur in training; {len(only)} occur only in"
        f" validation, in {clips} clips ({share:.2f} %){in_brackets(known, shown)}",
        "  an action head trained on training alone cannot name those; a product of"
        " verb and noun scores can",
        f"  pairs that occur but are not in the vocabulary: {len(set(unknown))}",
    ]


def _classes(data: Data) -> list[list[str]]:
    """Clips of each verb and noun in every labelled split."""
    labelled = [split for split in data.splits if split.segments[0].verb is not None]
    rows = [["class", *(split.name for split in labelled)]]
    names = data.classes.names(data.pairs)
    for task in ("verb", "noun"):
        counts = [Counter(getattr(s, task) for s in one.segments) for one in labelled]
        for number, name in enumerate(names[task]):
            rows.append([f"{task} {name}", *(str(one[number]) for one in counts)])
    return rows


def make_records(data: Data, prefix: str, *, keep_absent: bool) -> list[dict[str, Any]]:
    """The records of every split whose media are there, or of all.

    Args:
        data: what was read.
        prefix: the folder that was read, relative to the data root.
        keep_absent: keep clips without media, for questions alone.
    """
    number = {pair: place for place, pair in enumerate(data.pairs)}
    records = []
    for split in data.splits:
        for one in split.segments:
            if one.video in split.absent and not keep_absent:
                continue
            record = make_record(
                one, split.name, data.media, number, data.durations
            )
            if prefix != ".":
                _put_prefix(record, prefix)
            records.append(record)
    return records


def _put_prefix(record: dict[str, Any], prefix: str) -> None:
    for key in ("video", "frame_dir"):
        if key in record:
            record[key] = f"{prefix}/{record[key]}"
    for key in ("skeleton", "boxes"):
        if key in record:
            record[key] = {"file": f"{prefix}/{record[key]['file']}"}


def write_vocabularies(
    out: Path, classes: Mapping[str, Sequence[str]], pairs: Sequence[tuple[int, int]]
) -> None:
    """Write ``actions.csv``, ``verbs.txt`` and ``nouns.txt``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "verb", "noun", "action"])
    for number, (verb, noun) in enumerate(pairs):
        writer.writerow([number, verb, noun, classes["action"][number]])
    write_atomic(out / "actions.csv", text.getvalue().encode())
    for task in ("verb", "noun"):
        names = "".join(f"{name}\n" for name in classes[task])
        write_atomic(out / f"{task}s.txt", names.encode())


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = parser_of(str(__doc__))
    add = parser.add_argument
    add("--annotation-dir", default="", help="of the csv, under ROOT")
    add("--train-list", help="RULSTM's list under ROOT, for EPIC_100_train.csv")
    add("--list-fps", type=float, default=epic.LIST_FPS, help="frames/s of that list")
    add("--actions", help="vocabulary under ROOT, or none; default: from train and val")
    add("--media", choices=MEDIA, default="videos")
    add("--media-dir", default="videos", help="under ROOT")
    add("--index-fps", type=float, help="of extracted frames")
    add("--chunk-seconds", type=float, default=15.0)
    add("--skeleton-dir", help="of hands, under ROOT, or none; default: skeleton")
    add("--boxes-dir", help="of boxes, under ROOT, or none; default: boxes")
    add(
        "--keep-absent",
        action="store_true",
        help="write clips whose media are not there, too: for questions alone",
    )
    add("--tau-a", type=float, default=1.0, help="seconds, report only")
    args = parser.parse_args(argv)
    args.out = args.out or args.root / "mmfusion"
    if args.list_fps <= 0:
        parser.error(f"--list-fps is {args.list_fps}; expected more than 0")
    return args


def choose_vocabulary(args: argparse.Namespace) -> str | None:
    """The file asked for, RULSTM's beside its list, or None: that of the csv files."""
    if args.actions:
        return str(args.actions)
    if args.train_list:
        beside = Path(args.train_list).parent / "actions.csv"
        if (args.root / beside).is_file():
            return beside.as_posix()
        raise MissingDataError(
            f"{args.root / beside} is not a file; give --actions, the vocabulary by"
            " which the list numbers its actions"
        )
    files = [epic.SEGMENT_FILES[split] for split in ("train", "val")]
    lacking = [f for f in files if not (args.root / args.annotation_dir / f).is_file()]
    if lacking:
        raise MissingDataError(
            f"{args.root / args.annotation_dir} lacks {' and '.join(lacking)}; give"
            " --train-list LIST for RULSTM's training.csv, or --actions FILE, or"
            " --actions none for verbs and nouns only"
        )
    return None


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not args.root.is_dir():
        raise MissingDataError(f"{args.root} is not a folder")
    data = read_data(args, console)
    console.print(report(data, tau_a=args.tau_a))
    if args.dry_run:
        return 0
    data_root, ann_file = data_root_of(args.root, args.out), args.out / "annotation.json"
    prefix = os.path.relpath(os.path.abspath(args.root), data_root)
    records = make_records(data, prefix, keep_absent=args.keep_absent)
    if not records:
        console.print(
            "nothing written: no video of any split is there (--keep-absent writes the"
            " clips all the same, for questions alone)"
        )
        return 1
    metainfo = data.metainfo()
    write_vocabularies(args.out, metainfo["classes"], data.pairs)
    write_annotation(ann_file, metainfo, records)
    links = link_roots_of(data_root, [args.root / args.media_dir])
    hint = (
        f"data_root={str(data_root)!r}, ann_file={relative_to(data_root, ann_file)!r}"
    )
    hint += f", link_roots={links}" if links else ""
    command = " ".join(["prepare.py", *(sys.argv[1:] if argv is None else argv)])
    everything = report(data, tau_a=args.tau_a, every=True)
    log = f"{command}\nin a config: {hint}\n{everything}\n"
    write_atomic(args.out / "prepare.log", log.encode())
    console.print(f"wrote {ann_file} with {len(records)} clips; in a config: {hint}")
    return 0


if __name__ == "__main__":
    sys.exit(errors_in_one_line(main)())
