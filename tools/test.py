"""Test a checkpoint: print its metrics, and write its predictions where asked.

    python tools/test.py CONFIG work_dirs/NAME/best.pth --dump predictions.json

The log names the worst classes of each task and the calibration error. The file of
--dump has every class and the confusion matrix, too, under metainfo.report.

Exit codes: 0 done, 1 failed (a clip cannot be read), 2 wrong config or command, 3
checkpoint unreadable or not of this model.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from mmfusion.engine.launch.start import add_run_arguments, only_test, run_job
from mmfusion.utils.commands import command_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("config", help="config file")
    add("checkpoint", help=".pth, .safetensors, or a folder that has one")
    add("--work-dir", help="where logs go; work_dirs/<config> if left")
    add("--dump", help="write ids, labels and scores to this .json or .npz")
    add("--show", action="store_true", help="show the clips in a window")
    add("--show-dir", help="write the clips with their best classes to this folder")
    add("--interval", type=int, default=1, help="show every so many samples")
    add("--wait-time", type=float, default=2.0, help="seconds that a window stays")
    add_run_arguments(parser)
    return parser.parse_args(argv)


def checkpoint_of(given: str) -> str:
    """The file of weights; of a folder, those of its run or exported model."""
    if not Path(given).is_dir():
        return given
    from mmfusion.apis.loading import weights_of

    return str(weights_of(given))


def merge_args(config: Config, args: argparse.Namespace) -> None:
    """Put the options of the command line into the config; drop what trains."""
    only_test(config, checkpoint_of(args.checkpoint))
    hooks = list(config.get("custom_hooks") or [])
    if args.dump:
        hooks.append(dict(type="mmfusion.PredictionDumpHook", path=args.dump))
    if args.show or args.show_dir:
        hooks.append(
            dict(
                type="mmfusion.ShowPredictionsHook",
                show_dir=args.show_dir,
                show=args.show,
                interval=args.interval,
                wait_time=args.wait_time,
            )
        )
    config.custom_hooks = hooks
    metrics = config.get("test_evaluator") or []
    metrics = [*metrics] if isinstance(metrics, list | tuple) else [metrics]
    tested = (config.get("test_dataloader") or {}).get("dataset") or {}
    if tested.get("untrimmed") is None:  # clips; moments have no such report
        metrics.append(dict(type="mmfusion.ClassReportMetric"))
    config.test_evaluator = metrics


def main() -> int:
    args = parse_args()

    def test(config: Config) -> int:
        merge_args(config, args)

        from mmfusion.engine.runner.distributed import close_process_group
        from mmfusion.registry import RUNNERS

        RUNNERS.build(config).test()
        close_process_group()
        return 0

    return run_job(args, test)


if __name__ == "__main__":
    sys.exit(main())
