"""Generate TinyEgo: a small egocentric world in a published dataset's layout.

python tools/data/tinyego/generate.py --layout h2o --out data/tinyego
"""

import argparse
import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from mmfusion.tinyego import LAYOUTS, WorldConfig, generate


def parse_args() -> argparse.Namespace:
    default = WorldConfig()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--layout", choices=sorted(LAYOUTS), default="h2o", help="whose files to write"
    )
    parser.add_argument("--out", type=Path, required=True, help="the new data root")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument(
        "--num-train", type=int, default=default.num_train, help="clips"
    )
    parser.add_argument(
        "--num-val", type=int, default=default.num_val, help="clips, a multiple of 12"
    )
    parser.add_argument(
        "--num-test", type=int, default=default.num_test, help="clips, a multiple of 12"
    )
    parser.add_argument(
        "--size", type=int, default=default.height, help="image height in pixels"
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
        best = [f"{x:.1f}" for x in bounds["action"].values()] if bounds else ["-"] * 3
        table.add_row(split, *map(str, counts.values()), *best)
    return table


def main() -> None:
    args = parse_args()
    console = Console()
    try:
        config = WorldConfig(
            seed=args.seed,
            num_train=args.num_train,
            num_val=args.num_val,
            num_test=args.num_test,
            height=args.size,
        )
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
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    console.print(summarise(manifest))


if __name__ == "__main__":
    main()
