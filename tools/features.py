"""Write the tokens of a frozen encoder once, to train on them in minutes.

    python tools/features.py CONFIG --out work_dirs/features/NAME
    python tools/train.py CONFIG                # features = dict(video=...) in CONFIG

CONFIG has a frozen video encoder and pipelines that draw nothing at random; with
--cfg-options features=None it trains on the frames themselves. One safetensors file a
clip holds its tokens, their seconds, and what they are of: weights, preprocessing,
encoder. Stopped, the same command goes on. A training that asks for something else is
refused, and told what differs.

With --lmdb it writes one vector for each of --rate moments a second of every video, in
the layout of RULSTM's features (an LMDB of float32 under P01_01_frame_0000000061.jpg):
what the encoder says of the frames that the config's sampler would take at that moment.
Trained weights are those of --checkpoint.

Exit codes: 0 done (clips that cannot be read are counted, and named in broken.json), 2
wrong config or command, 3 checkpoint, 130 stopped.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from mmfusion.engine.launch.start import add_run_arguments, run_job
from mmfusion.utils.commands import STOPPED, command_parser
from mmfusion.utils.paths import write_atomic

SHOWN = 5  # broken clips named on the terminal


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("config", help="config file, with frames")
    add("--out", type=Path, required=True, help="folder of the features")
    add("--checkpoint", help="weights of the whole model, such as best.pth")
    add("--dtype", choices=["fp32", "fp16"], default="fp32")
    add("--overwrite", action="store_true", help="replace features of something else")
    add("--lmdb", action="store_true", help="whole videos, as RULSTM's features")
    add("--rate", type=float, default=5.0, help="of --lmdb: moments a second (5)")
    add("--fps", type=float, default=30.0, help="of --lmdb: numbers a second (30)")
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    args.work_dir = str(args.out)
    args.cfg_options = {**(args.cfg_options or {}), "features": None}
    return args


def main() -> int:
    args = parse_args()

    def extract(config: Config) -> int:
        from rich.console import Console

        from mmfusion.analysis.progress import progress_bar
        from mmfusion.apis.frame_features import write_lmdb
        from mmfusion.apis.token_files import write_features

        console = Console()
        begin = time.perf_counter()
        with progress_bar(console) as bars:
            tasks = {}

            def tell(split: str, done: int, total: int) -> None:
                if split not in tasks:
                    tasks[split] = bars.add_task(split, total=total)
                bars.update(tasks[split], completed=done)

            common = dict(
                checkpoint=args.checkpoint, overwrite=args.overwrite, tell=tell
            )
            if args.lmdb:
                found = write_lmdb(
                    config, args.out, rate=args.rate, fps=args.fps, **common
                )
            else:
                found = write_features(config, args.out, dtype=args.dtype, **common)
        seconds = time.perf_counter() - begin
        if found.broken:
            text = json.dumps(found.broken, indent=1, ensure_ascii=False)
            write_atomic(args.out / "broken.json", f"{text}\n".encode())
        for name, message in list(found.broken.items())[:SHOWN]:
            console.print(f"broken: {name}: {message}", markup=False, highlight=False)
        console.print(
            f"{args.out}: {found.written} written, {found.present} were there,"
            f" {len(found.broken)} broken, {found.num_bytes / 2**20:.1f} MiB in"
            f" {seconds:.0f} s",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        return 0

    try:
        return run_job(args, extract)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command goes on\n")
        return STOPPED


if __name__ == "__main__":
    sys.exit(main())
