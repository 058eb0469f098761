"""Study on TinyEgo when which mix of CLS tokens wins, by reliability of the streams.

    python tools/analysis/mix_study.py --out work_dirs/mix_study
    python tools/analysis/mix_study.py --out work_dirs/mix_study --minutes 5
    python tools/analysis/mix_study.py --out work_dirs/quick --quick

Trains two encoders, makes the features of all clips once, then trains every cell of
the grid (mix, regime, clips in training, seed) and writes results.csv, tables.md and
pictures to --out. What is done is not done again: the same command goes on where it
was stopped. configs/cls_mix/STUDY.md has the result. Exit codes: 0 done, 2 wrong
command or folder, 75 stopped by --minutes with cells left.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from mmfusion.tinyego import REGIMES
from mmfusion.tinyego.mix_study import QUICK, ROWS, Study, StudyConfig
from mmfusion.utils.commands import command_parser, errors_in_one_line, positive

LEFT = 75  # exit code: try again


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder of the study")
    add("--regimes", nargs="+", choices=list(REGIMES), help="of TinyEgo")
    add("--rows", nargs="+", choices=ROWS, help="mixes, and models of the streams")
    add("--sizes", nargs="+", type=positive, help="clips in training")
    add("--seeds", type=positive, metavar="N", help="seeds 0 to N - 1")
    add("--quick", action="store_true", help="a minute's study, to see that it runs")
    add("--minutes", type=float, help="start no training after so many")
    return parser.parse_args(argv)


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    asked = {
        "regimes": args.regimes and tuple(args.regimes),
        "rows": args.rows and tuple(args.rows),
        "sizes": args.sizes and tuple(args.sizes),
        "seeds": args.seeds and tuple(range(args.seeds)),
    }
    said = {key: value for key, value in asked.items() if value}
    config = replace(QUICK if args.quick else StudyConfig(), **said)
    console = Console()
    study = Study(
        args.out,
        config,
        lambda text: console.print(text, markup=False, highlight=False),
    )
    left = study.run(args.minutes)
    for path in study.report():
        study.say(f"wrote {path}")
    if left:
        study.say(f"{left} trainings are left: the same command goes on")
    return LEFT if left else 0


if __name__ == "__main__":
    sys.exit(main())
