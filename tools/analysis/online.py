"""Test online detection as a stream and by a sliding window: one table.

    python tools/analysis/online.py work_dirs/online_video_nano_tinyego
    python tools/analysis/online.py CONFIG CHECKPOINT --window 8 --out DIR

Each video of the test is read once, its states carried, and again by windows that end
at every moment. Beside them stand chance and, on TinyEgo's kitchen, what the camera,
the hands, and both can tell. The table is in DIR/online.md and online.json; DIR is
work_dirs/NAME/online. Exit codes: 0 done, 2 wrong config or command, 3 checkpoint
unreadable or not of this model.
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from rich.console import Console

from mmfusion.apis.tested_model import (
    run_tested_model,
    tested_model_parser,
    write_both,
)
from mmfusion.engine.launch.start import only_test
from mmfusion.utils.commands import errors_in_one_line
from mmfusion.utils.errors import InputError

ORDERS = 10  # of actions that look alike, over which a ceiling is the mean


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    parser = tested_model_parser(__doc__)
    parser.add_argument(
        "--window", type=float, help="seconds; those of training if left"
    )
    return run_tested_model(parser.parse_args(argv), "online", _measure)


def _ceilings(segments: Sequence[Sequence[Any]]) -> Mapping[str, Any]:
    from mmfusion.tinyego.online_ceilings import KnownLook

    if not all({"verb", "noun"} <= set(label) for *_, label in segments):
        return {}

    def scorer(stream: str, seed: int) -> Any:
        known = KnownLook(segments, stream, seed)
        return lambda meta: known.scores(meta["segments"], meta["moments"])

    def row(stream: str) -> Sequence[Any]:
        return [scorer(stream, seed) for seed in range(ORDERS)]

    told = {"video": "the camera", "skeleton": "the hands", "both": "both"}
    return {f"ceiling: all that {who} can tell": row(one) for one, who in told.items()}


def _measure(config: Config, args: argparse.Namespace) -> int:
    from mmfusion.analysis.online_detection import grid_of, measure

    window = args.window
    if window is None:
        data = (config.get("train_dataloader") or {}).get("dataset") or {}
        window = (data.get("untrimmed") or {}).get("seconds")
    if window is None or not 0 < window < math.inf:
        raise InputError(f"--window is {window}; expected seconds above 0")
    only_test(config, args.checkpoint)
    root = Path(config.test_dataloader.dataset.get("data_root") or ".")
    is_kitchen = (root / "ceilings.json").is_file()
    results = measure(config, window, _ceilings if is_kitchen else lambda _: {})
    console = Console()
    grid = grid_of(results, f"{Path(args.config).stem}, split"
                   f" {config.test_dataloader.dataset.get('split')}")  # fmt: skip
    grid.show(console)
    content = {one.name: one.metrics for one in results}
    done = write_both(args.out, "online", grid.markdown(), content)
    console.print(done, highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
