"""Generate TinyEgo: a small egocentric world in a published dataset's layout.

    python tools/data/tinyego/generate.py --layout h2o --out data/tinyego
    python tools/data/tinyego/generate.py --layout ek100 --out data/tinyego_ek100

How many clips, and how large, is the layout's own choice where it is not said.
"""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from mmfusion.tinyego import LAYOUTS, REGIMES, generate
from mmfusion.utils.commands import command_parser, errors_in_one_line


def parse_args() -> argparse.Namespace:
    parser = command_parser(__doc__)
    parser.add_argument(
        "--layout", choices=sorted(LAYOUTS), default="h2o", help="whose files to write"
    )
    parser.add_argument("--out", type=Path, required=True, help="the new data root")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-train", type=int, help="clips")
    parser.add_argument("--num-val", type=int, help="clips, a multiple of 12")
    parser.add_argument("--num-test", type=int, help="clips, a multiple of 12")
    parser.add_argument("--size", type=int, help="image height in pixels")
    parser.add_argument(
        "--regime",
        choices=list(REGIMES),
        default="clean",
        help="how far each stream can be trusted: README.md; layouts h2o, oakink2",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=min(os.cpu_count() or 1, 8),
        help="processes; the files do not depend on it",
    )
    return parser.parse_args()


def summarise(manifest: dict[str, Any]) -> Table:
    """Counts and ceilings, one row per split."""
    table = Table("split", "sequences", "clips", "frames", title="TinyEgo")
    for stream in ("video", "skeleton", "both"):
        table.add_column(f"best by {stream} (%)", justify="right")
    for split, counts in manifest["counts"].items():
        bounds = manifest["ceilings"].get(split)
        best = [
            f"{bounds['action'][stream]:.1f}" if bounds else "-"
            for stream in ("video", "skeleton", "both")
        ]
        table.add_row(split, *map(str, counts.values()), *best)
    return table


@errors_in_one_line
def main() -> int:
    args = parse_args()
    console = Console()
    asked = {
        "seed": args.seed,
        "num_train": args.num_train,
        "num_val": args.num_val,
        "num_test": args.num_test,
        "height": args.size,
    }
    said = {key: value for key, value in asked.items() if value is not None}
    video, hands = REGIMES[args.regime]
    default = LAYOUTS[args.layout].world.default
    config = replace(default, video=video, hands=hands, **said)
    columns = ("TinyEgo", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("sequences", total=None)
        manifest = generate(
            args.out,
            args.layout,
            config,
            workers=args.workers,
            on_progress=lambda done, total: progress.update(
                bar, completed=done, total=total
            ),
        )
    console.print(summarise(manifest))
    return 0


if __name__ == "__main__":
    sys.exit(main())
