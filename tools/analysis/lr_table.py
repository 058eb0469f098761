"""The learning rates of a config: its optimizer's groups, and their curves in a PNG.

    python tools/analysis/lr_table.py configs/mambavl/mambavl_base_ek100.py
    python tools/analysis/lr_table.py CONFIG --out lr.png --list

The model is built without content: no weights, no data and hardly any memory are
needed. Rates are those of the batch size that the config is given for; with
--batch-size, as `--auto-scale-lr` would scale them for that total batch. Exit codes: 0
done, 2 wrong config or command.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mmfusion.analysis.experiments import read_config
from mmfusion.analysis.learning_rates import batch_scale, follow, plot, rate_table
from mmfusion.engine.launch.start import OptionsAction
from mmfusion.utils.commands import command_parser, errors_in_one_line, positive
from mmfusion.utils.paths import write_atomic


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("config", type=Path)
    add("--out", type=Path, help="PNG; work_dirs/lr/<config>.png if left")
    add("--steps", type=positive, default=20, help="points of the curve an epoch")
    add("--batch-size", type=positive, help="scale the rates for this total batch")
    add("--list", action="store_true", help="name every parameter of every group")
    add("--cfg-options", nargs="+", action=OptionsAction, default={}, help="key=value")
    args = parser.parse_args(argv)
    config, name = read_config(args.config, args.cfg_options), args.config.stem
    scale = batch_scale(config, args.batch_size) if args.batch_size else 1.0
    groups = follow(config, steps=args.steps, scale=scale)
    console = Console()
    title = f"{name}, {config.train_cfg.max_epochs} epochs"
    rate_table(groups, title).show(console)
    if args.list:
        for group in groups:
            console.print(f"lr {group.peak:.3g}, decay {group.weight_decay:g}:")
            console.print("  " + "\n  ".join(group.names), markup=False)
    out = args.out or Path("work_dirs/lr", f"{name}.png")
    write_atomic(out, plot(groups, args.steps, name))
    console.print(f"wrote {out}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
