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
import sys
from collections.abc import Sequence

from mmengine.config import Config
from rich.console import Console

from mmfusion.apis.tested_model import (
    run_tested_model,
    tested_model_parser,
    write_both,
)
from mmfusion.engine.launch.start import only_test
from mmfusion.utils.commands import errors_in_one_line


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    parser = tested_model_parser(__doc__)
    add = parser.add_argument
    add(
        "--ways",
        nargs="+",
        choices=["absent", "swapped"],
        default=["absent", "swapped"],
        help="how a stream is taken away; both if left",
    )
    add("--dump", action="store_true", help="write the predictions of each subset too")
    return run_tested_model(parser.parse_args(argv), "reliance", _measure)


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
    if args.dump:  # first: tables say that all is there
        for (way, kept), one in dumps.items():
            save_predictions(args.out / f"{way}_{'_'.join(sorted(kept))}.json", one)
    done = write_both(args.out, "reliance", text, [one.as_dict() for one in found])
    console.print(done, highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
