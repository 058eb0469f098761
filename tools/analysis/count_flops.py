"""Parameters and operations of the model of a config, in all and by module.

    python tools/analysis/count_flops.py configs/unimodal/video_mamba_tiny_h2o.py
    python tools/analysis/count_flops.py CONFIG --depth 3 --json flops.json
    python tools/analysis/count_flops.py CONFIG --shape text=2x20 \
        --cfg-options model.encoders.video.num_frames=16

Of one clip, one view, all its questions: give the whole for a test with 12 views times
12. Counts are multiply-adds in 1e9 (GMACs), which papers mostly call GFLOPs; matrix
products, convolutions, attention and both directions of the scans are in, norms and
activations are not. "Published" is the same by the convention of VideoMamba's paper,
which leaves a mixer's convolution, x_proj, dt_proj and scan out. Sizes of inputs are
those that encoders are built for and the config's test pipeline gives, or --shape's.
tools/analysis/README.md compares the counts with the published ones. Exit codes: 0
done, 2 wrong config or command.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mmfusion.analysis.experiments import read_config
from mmfusion.analysis.flops import (
    BILLION,
    MILLION,
    count_config,
    module_table,
    num_parameters,
    published_flops,
)
from mmfusion.engine.launch.start import OptionsAction
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.paths import write_atomic


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.partition("=")
    try:
        shape = tuple(int(size) for size in sizes.split("x"))
    except ValueError:
        shape = ()
    if not name or not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected such as text=2x40")
    return name, shape


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("configs", nargs="+", type=Path, metavar="CONFIG")
    add("--depth", type=int, default=2, help="of the table of modules (%(default)s)")
    add(
        "--shape",
        nargs="+",
        action="extend",
        type=_shape,
        default=[],
        metavar="STREAM=AxB",
    )
    add("--json", type=Path, metavar="FILE", help="write the numbers there too")
    add("--cfg-options", nargs="+", action=OptionsAction, default={}, help="key=value")
    args = parser.parse_args(argv)
    console = Console(soft_wrap=True)
    found = []
    for path in args.configs:
        config = read_config(path, args.cfg_options)
        model, counts, shapes = count_config(config, dict(args.shape))
        sizes = ", ".join(f"{k} {'x'.join(map(str, v))}" for k, v in shapes.items())
        module_table(f"{path.stem}: {sizes}", model, counts, args.depth).show(console)
        published, parameters = published_flops(model, counts), num_parameters(model)
        total = f"{counts[''] / 2 / BILLION:.2f} G multiply-adds"
        if published != counts[""]:
            total += f"; by the published convention {published / 2 / BILLION:.2f} G"
        console.print(f"{parameters / MILLION:.2f} M parameters, {total}\n")
        found.append(
            {
                "config": str(path),
                "inputs": shapes,
                "parameters": parameters,
                "macs": counts[""] / 2,
                "macs_published_convention": published / 2,
                "macs_by_module": {k: v / 2 for k, v in counts.items() if v},
            }
        )
    if args.json:
        write_atomic(args.json, (json.dumps(found, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
