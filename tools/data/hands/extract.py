"""Find the hands in videos and write them as skeleton caches.

    python tools/data/hands/extract.py clip.mp4 data/mine/videos --out data/mine/hands

VIDEOS are files, or folders with all below them. `a/b.mp4` of a folder becomes
`OUT/a/b.npz`: left and right hand, 21 joints each in fractions of the picture. The same
command continues a run that was stopped: complete caches are kept. The model files are
fetched once from PyPI; without a network give them by --models. Needs
`pip install -r requirements/optional.txt`. Exit codes: 0 all is well, 1 videos are
broken, 2 wrong command, or no model files.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import TimeRemainingColumn

from mmfusion.hands import MediaPipeHands
from mmfusion.hands.extraction import (
    Outcome,
    check_settings,
    extract_videos,
    plan_jobs,
)
from mmfusion.utils.commands import command_parser, errors_in_one_line, positive


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("videos", nargs="+", type=Path, metavar="VIDEOS", help="files and folders")
    add("--out", type=Path, required=True, help="folder of the caches")
    add("--every", type=positive, default=1, help="one frame of so many (%(default)s)")
    add("--max-hands", type=int, choices=(1, 2), default=2, help="(%(default)s)")
    add(
        "--one-hand",
        action="store_true",
        help="the clips show one hand: a single place for it, left or right",
    )
    add(
        "--min-score",
        type=float,
        default=0.3,
        help="smallest score of a palm, 0 to 1 (%(default)s)",
    )
    add(
        "--mirrored",
        action="store_true",
        help="the pictures are mirrored, as a webcam's preview often is",
    )
    add("--no-tracking", action="store_true", help="search every frame for palms")
    add(
        "--one-pass",
        action="store_true",
        help="follow hands forward in time only, from palms only: faster, finds fewer",
    )
    add("--models", type=Path, help="mediapipe 0.10.21's wheel, or a folder of models")
    return parser.parse_args(argv)


def progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """Share of frames with hands, clips without any, and what is broken."""
    good = [outcome for outcome in outcomes if outcome.valid is not None]
    lines = [
        f"{len(outcomes)} videos: {len(good)} done"
        f" ({sum(outcome.kept for outcome in good)} were there),"
        f" {len(outcomes) - len(good)} broken"
    ]
    frames = sum(len(o.valid) for o in good if o.valid is not None)
    if frames and not any(o.valid.any() for o in good if o.valid is not None):
        lines.append(
            f"no hand in any of {frames} frames: look at the videos, or try a lower"
            " --min-score"
        )
    elif frames:
        some = sum(int(o.valid.any(axis=1).sum()) for o in good if o.valid is not None)
        line = f"{frames} frames: a hand in {100 * some / frames:.1f} %"
        masks = [o.valid for o in good if o.valid is not None]
        if masks[0].shape[1] == 2:
            counts = np.sum([mask.sum(axis=0) for mask in masks], axis=0)
            left, right = (100 * counts / frames).tolist()
            line += f", left in {left:.1f} %, right in {right:.1f} %"
        lines.append(line)
    none = [o.job.name for o in good if o.valid is not None and not o.valid.any()]
    if none and len(none) < len(good):
        lines.append(f"no hand in {len(none)} videos: {', '.join(none[:5])}")
    lines += [f"broken: {o.error}" for o in outcomes if o.error is not None]
    return lines


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    jobs = plan_jobs(args.videos, args.out)
    extractor = MediaPipeHands(
        args.models,
        max_hands=args.max_hands,
        one_hand=args.one_hand,
        min_score=args.min_score,
        tracking=not args.no_tracking,
        mirrored=args.mirrored,
        **(dict(look_back=0, sweep=False) if args.one_pass else {}),
    )
    names = (
        *("every", "max_hands", "one_hand", "min_score", "mirrored"),
        *("no_tracking", "one_pass"),
    )
    check_settings(args.out, {name: getattr(args, name) for name in names})
    outcomes = []
    with progress(Console(stderr=True)) as bar:
        task = bar.add_task("hands", total=len(jobs))
        for outcome in extract_videos(jobs, extractor, every=args.every):
            outcomes.append(outcome)
            bar.advance(task)
    print("\n".join(summary(outcomes)))
    return int(any(outcome.error is not None for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
