"""Report on EPIC-KITCHENS-100, and write one annotation file and the vocabularies.

    python tools/data/ek100/prepare.py --root data/ek100 --dry-run
    python tools/data/ek100/prepare.py --root data/ek100
    python tools/data/ek100/prepare.py --root data/ek100 \
        --train-list rulstm/training.csv --media chunks --media-dir chunks

ROOT holds the csv files of epic-kitchens-100-annotations and, under ``videos/`` (or
--media-dir), the participants' folders. The report comes first; with ``--dry-run`` that
is all. Else it writes, under --out: ``annotation.json`` for MultiModalDataset with the
clips whose media are there, ``actions.csv`` (the action vocabulary in AVION's order),
``verbs.txt``, ``nouns.txt`` and ``prepare.log``, which has every name. The dataset
EpicKitchensDataset needs none of them: it reads the csv files itself.
"""

import argparse
import csv
import io
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.progress import track

from mmfusion.layouts import epic_kitchens as epic
from mmfusion.datasets.annotation import write_annotation
from mmfusion.datasets.conversion import (
    data_root_of,
    in_brackets,
    link_roots_of,
    text_table,
)
from mmfusion.datasets.epic_kitchens import MEDIA, EpicKitchensDataset
from mmfusion.utils.paths import write_atomic

_SHOWN = 5


class Split(NamedTuple):
    """One split: its segments as the csv has them, and the dataset of them."""

    name: str
    segments: list[epic.EpicSegment]
    dataset: EpicKitchensDataset
    absent: dict[str, str]  # video -> path that is not there


def read_split(name: str, args: argparse.Namespace, console: Console) -> Split | None:
    """Read a split, or None where its file is not there."""
    file = args.train_list if name == "train" else None
    path = args.root / (file or Path(args.annotation_dir) / epic.SEGMENT_FILES[name])
    if not path.is_file():
        if file:
            raise FileNotFoundError(f"{path} is not a file")
        return None
    folder = args.root / args.annotation_dir
    classes = epic.read_classes(folder)
    dataset = EpicKitchensDataset(
        [],
        data_root=str(args.root),
        split=name,
        annotation_dir=args.annotation_dir,
        segments=file,
        actions=args.actions,
        media=args.media,
        media_dir=args.media_dir,
        index_fps=args.index_fps,
        chunk_seconds=args.chunk_seconds,
        test_mode=True,
    )
    segments = epic.read_segments(path, classes)
    first: dict[str, int] = {}
    for place, one in enumerate(segments):  # in the order of the dataset
        first.setdefault(one.video, place)
    absent = {}
    for video, place in track(first.items(), f"{name}: videos", console=console):
        record = dataset.get_record(place)
        media = record["video"] or record["frame_dir"]
        if not os.path.exists(args.root / media):
            absent[video] = media
    return Split(name, segments, dataset, absent)


def report(splits: Sequence[Split], *, tau_a: float, every: bool = False) -> str:
    """All that is known before anything is written.

    Args:
        splits: those that are there.
        tau_a: seconds before a start that anticipation may not see.
        every: all names instead of a few.
    """
    shown = None if every else _SHOWN
    lines = [f"ek100: {sum(len(s.segments) for s in splits)} clips", ""]
    lines += text_table(_sizes(splits))
    lines += ["", "seconds (min/median/max), and against the published frame numbers"]
    lines += text_table(_times(splits))
    for split in splits:
        early = [s.narration_id for s in split.segments if s.start_sec <= tau_a]
        lines.append(
            f"{split.name}: {len(early)} starts leave no room at tau_a = {tau_a:g} s"
            f"{in_brackets(early, shown)}"
        )
    lines += ["", *_vocabulary(splits, shown), ""]
    for split in splits:
        total = len({segment.video for segment in split.segments})
        clips = sum(one.video in split.absent for one in split.segments)
        lines.append(
            f"{split.name}: {len(split.absent)} of {total} videos are not there, with"
            f" {clips} clips{in_brackets(sorted(split.absent.values()), shown)}"
        )
    if every:
        lines += ["", "clips per class", *text_table(_classes(splits))]
    return "\n".join(lines)


def _sizes(splits: Sequence[Split]) -> list[list[str]]:
    head = ["split", "clips", "videos", "participants", "verbs", "nouns"]
    rows = [[*head, "unseen", "tail verb", "tail noun", "tail action"]]
    for split in splits:
        meta = split.dataset.metainfo
        unseen, verbs, nouns = (
            frozenset(meta[key])
            for key in ("unseen_participants", "tail_verbs", "tail_nouns")
        )
        some = split.segments
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


def _vocabulary(splits: Sequence[Split], shown: int | None) -> list[str]:
    """How many actions there are, and which of them training never shows."""
    pairs = [tuple(pair) for pair in splits[0].dataset.metainfo["action_pairs"] or ()]
    seen = {
        split.name: Counter((s.verb, s.noun) for s in split.segments)
        for split in splits
        if split.segments[0].verb is not None
    }
    lines = [f"action vocabulary: {len(pairs)} pairs of verb and noun, AVION's order"]
    if not {"train", "val"} <= set(seen):
        return [*lines, "training or validation is not there: pairs not compared"]
    only = [pair for pair in seen["val"] if pair not in seen["train"]]
    clips = sum(seen["val"][pair] for pair in only)
    share = 100 * clips / seen["val"].total()
    names = splits[0].dataset.metainfo["classes"]
    known = sorted(f"{names['verb'][v]} {names['noun'][n]}" for v, n in only)
    unknown = [pair for one in seen.values() for pair in one if pair not in set(pairs)]
    return [
        *lines,
        f"  {len(seen['train'])} occur in training; {len(only)} occur only in"
        f" validation, in {clips} clips ({share:.2f} %){in_brackets(known, shown)}",
        "  an action head trained on training alone cannot name those; a product of"
        " verb and noun scores can",
        f"  pairs that occur but are not in the vocabulary: {len(set(unknown))}",
    ]


def _classes(splits: Sequence[Split]) -> list[list[str]]:
    """Clips of each verb and noun in every labelled split."""
    labelled = [split for split in splits if split.segments[0].verb is not None]
    rows = [["class", *(split.name for split in labelled)]]
    for task in ("verb", "noun"):
        counts = [Counter(getattr(s, task) for s in one.segments) for one in labelled]
        for number, name in enumerate(splits[0].dataset.get_classes(task)):
            rows.append([f"{task} {name}", *(str(one[number]) for one in counts)])
    return rows


def write_results(splits: Sequence[Split], args: argparse.Namespace) -> int:
    """Write the annotation and the vocabularies; give the number of clips."""
    data_root = data_root_of(args.root, args.out)
    prefix = os.path.relpath(os.path.abspath(args.root), data_root)
    records = []
    for split in splits:
        for index in range(len(split.dataset)):
            record = split.dataset.get_record(index)
            if record["group"] in split.absent:
                continue
            for key in ("video", "frame_dir"):
                if record[key] and prefix != ".":
                    record[key] = f"{prefix}/{record[key]}"
            records.append({k: v for k, v in record.items() if v is not None})
    if not records:
        return 0
    meta = splits[0].dataset.metainfo
    keys = ("version", "dataset", "classes", "skeleton", "question_source", "extra")
    metainfo = {key: meta[key] for key in keys}
    unseen = {p for s in splits for p in s.dataset.metainfo["unseen_participants"]}
    metainfo["extra"] = {**meta["extra"], "unseen_participants": sorted(unseen)}
    classes = meta["classes"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "verb", "noun", "action"])
    for number, (verb, noun) in enumerate(meta["action_pairs"] or ()):
        writer.writerow([number, verb, noun, classes["action"][number]])
    write_atomic(args.out / "actions.csv", text.getvalue().encode())
    for task in ("verb", "noun"):
        names = "".join(f"{name}\n" for name in classes[task])
        write_atomic(args.out / f"{task}s.txt", names.encode())
    write_annotation(args.out / "annotation.json", metainfo, records)
    return len(records)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="the data root")
    parser.add_argument("--out", type=Path, help="default: ROOT/mmfusion")
    parser.add_argument("--dry-run", action="store_true", help="report, write nothing")
    parser.add_argument("--annotation-dir", default="", help="of the csv, under ROOT")
    parser.add_argument(
        "--train-list", help="RULSTM's list under ROOT, for EPIC_100_train.csv"
    )
    parser.add_argument(
        "--actions", help="vocabulary under ROOT; default: from train and validation"
    )
    parser.add_argument("--media", choices=MEDIA, default="videos")
    parser.add_argument("--media-dir", default="videos", help="under ROOT")
    parser.add_argument("--index-fps", type=float, help="of extracted frames")
    parser.add_argument("--chunk-seconds", type=float, default=15.0)
    parser.add_argument("--tau-a", type=float, default=1.0, help="seconds, report only")
    return parser.parse_args(argv)


def choose_vocabulary(args: argparse.Namespace) -> str:
    """The one asked for, RULSTM's beside its list, or that of the csv files."""
    if args.actions:
        return args.actions
    if args.train_list:
        beside = Path(args.train_list).parent / "actions.csv"
        if (args.root / beside).is_file():
            return beside.as_posix()
        raise FileNotFoundError(
            f"{args.root / beside} is not a file; give --actions, the vocabulary by"
            " which the list numbers its actions"
        )
    files = [epic.SEGMENT_FILES[split] for split in ("train", "val")]
    lacking = [f for f in files if not (args.root / args.annotation_dir / f).is_file()]
    if lacking:
        raise FileNotFoundError(
            f"{args.root / args.annotation_dir} lacks {' and '.join(lacking)}; give"
            " --train-list LIST for RULSTM's training.csv, or --actions FILE"
        )
    return "annotations"


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    console = Console()
    args.out = args.out or args.root / "mmfusion"
    if not args.root.is_dir():
        raise FileNotFoundError(f"{args.root} is not a folder")
    args.actions = choose_vocabulary(args)
    found = [read_split(name, args, console) for name in epic.SEGMENT_FILES]
    splits = [split for split in found if split is not None]
    if not splits:
        raise FileNotFoundError(
            f"{args.root} has none of {list(epic.SEGMENT_FILES.values())}"
        )
    text = report(splits, tau_a=args.tau_a)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    if args.dry_run:
        return 0
    count = write_results(splits, args)
    if not count:
        console.print("nothing written: no video of any split is there")
        return 1
    data_root = data_root_of(args.root, args.out)
    links = link_roots_of(data_root, [args.root / args.media_dir])
    hint = f"data_root={str(data_root)!r}" + (f", link_roots={links}" if links else "")
    command = " ".join(["prepare.py", *(sys.argv[1:] if argv is None else argv)])
    everything = report(splits, tau_a=args.tau_a, every=True)
    log = f"{command}\nin a config: {hint}\n{everything}\n"
    write_atomic(args.out / "prepare.log", log.encode())
    console.print(
        f"wrote {args.out / 'annotation.json'} with {count} clips; in a config: {hint}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
