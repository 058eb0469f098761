"""Test a fused model with streams taken away: one table by subset of the streams.

    python tools/analysis/stream_reliance.py work_dirs/NAME
    python tools/analysis/stream_reliance.py CONFIG CHECKPOINT --out DIR

A stream is taken away in two ways: "absent", as where its file is missing, and
"swapped", by that of another clip. Each subset has its accuracy with interval, and the
paired test against the model with all streams. The tables are in DIR/reliance.md and
reliance.json; DIR is work_dirs/NAME/reliance. Exit codes: 0 done, 2 wrong config or
command, 3 checkpoint unreadable or not of this model.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from rich.console import Console

from mmfusion.analysis.trained_runs import config_of_run
from mmfusion.apis.loading import checkpoint_of_run
from mmfusion.engine.launch.start import OptionsAction, only_test, run_job
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.errors import InputError
from mmfusion.utils.paths import write_atomic


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("run", type=Path, help="work folder of a training, or a config")
    add("checkpoint", nargs="?", help="of the config; best.pth of a work folder")
    add("--out", type=Path, help="folder of the tables")
    add(
        "--ways",
        nargs="+",
        choices=["absent", "swapped"],
        default=["absent", "swapped"],
        help="how a stream is taken away; both if left",
    )
    add("--dump", action="store_true", help="write the predictions of each subset too")
    add("--cfg-options", nargs="+", action=OptionsAction, help="key.key=value")
    add("--debug", action="store_true", help="show the traceback of every error")
    args = parser.parse_args(argv)
    args.launcher, args.local_rank = "none", 0
    return args


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.run.is_dir():
        args.out = args.out or args.run / "reliance"
        args.config = str(config_of_run(args.run))
        args.checkpoint = args.checkpoint or str(checkpoint_of_run(args.run))
    elif args.checkpoint is None:
        raise InputError(f"{args.run} is no folder; a config needs its CHECKPOINT, too")
    else:
        args.config = str(args.run)
        args.out = args.out or Path("work_dirs", args.run.stem, "reliance")
    args.work_dir = str(args.out)
    return run_job(args, lambda config: _measure(config, args))


def _measure(config: Config, args: argparse.Namespace) -> int:
    from mmfusion.analysis.reliance import WAYS, measure
    from mmfusion.evaluation.predictions import save_predictions

    only_test(config, args.checkpoint)
    found, dumps = measure(config, args.ways)
    console = Console()
    for one in found:
        one.grid().show(console)
    notes = [f"{way}: {WAYS[way]}." for way in args.ways]
    for note in notes:
        console.print(note, markup=False, highlight=False)
    text = "\n".join([one.grid().markdown() for one in found] + notes) + "\n"
    content = json.dumps([one.as_dict() for one in found], indent=1, allow_nan=False)
    write_atomic(args.out / "reliance.md", text.encode())
    write_atomic(args.out / "reliance.json", f"{content}\n".encode())
    if args.dump:
        for (way, kept), one in dumps.items():
            save_predictions(args.out / f"{way}_{'_'.join(sorted(kept))}.json", one)
    console.print(f"wrote {args.out}/reliance.md and reliance.json", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
