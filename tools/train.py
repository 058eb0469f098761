"""Train a model from a config; the same command continues a run that was stopped.

    python tools/train.py configs/unimodal/video_mamba_tiny_h2o.py

The work folder tells what to do: empty, it trains; with a run of the same config and
seed, it continues it bitwise; with a complete one, it says so and ends; with a run of
another config, it stops and says what differs. Exit codes: 0 done or stopped by a
signal with a checkpoint, 1 failed, 2 wrong config or command, 3 no checkpoint readable.
"""

import argparse
import sys
from collections.abc import Sequence

from mmengine.config import Config

from mmfusion.engine.launch.loggers import log_for_tensorboard, log_for_wandb
from mmfusion.engine.launch.start import add_run_arguments, prepare_work_dir, run_job
from mmfusion.utils.commands import add_amp_option, command_parser
from mmfusion.utils.errors import ConfigError


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("config", help="config file")
    add("--work-dir", help="where logs and checkpoints go; work_dirs/<config> if left")
    add(
        "--resume",
        nargs="?",
        const="auto",
        help="continue from this checkpoint, or from the newest of the work folder, "
        "even if the config has changed",
    )
    add_amp_option(parser)
    add("--no-validate", action="store_true", help="do not validate while training")
    add(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by batch size / auto_scale_lr.base_batch_size",
    )
    add("--seed", type=int, help="random seed; the config's if left")
    add("--diff-rank-seed", action="store_true", help="another seed in each process")
    add(
        "--deterministic",
        action="store_true",
        help="refuse operations that are not deterministic",
    )
    add("--compile", action="store_true", help="torch.compile the training step")
    add("--tensorboard", action="store_true", help="log for TensorBoard, too")
    add(
        "--wandb",
        nargs="?",
        const="mmfusion",
        metavar="PROJECT",
        help="log for Weights & Biases, too; WANDB_MODE=offline sends nothing",
    )
    add_run_arguments(parser)
    return parser.parse_args(argv)


def merge_args(config: Config, args: argparse.Namespace) -> None:
    """Put the options of the command line into the config."""
    if args.no_validate:
        config.val_cfg = config.val_dataloader = config.val_evaluator = None
    if args.amp != "off":
        config.optim_wrapper.type = "mmfusion.FusionOptimWrapper"
        config.optim_wrapper.dtype = "bfloat16" if args.amp == "force" else "auto"
    if args.auto_scale_lr:
        if not config.get("auto_scale_lr"):
            raise ConfigError(
                "--auto-scale-lr needs auto_scale_lr = dict(base_batch_size=...) in "
                f"{args.config}"
            )
        config.auto_scale_lr.enable = True
    if args.compile:
        config.compile = True
    if args.tensorboard:
        log_for_tensorboard(config)
    if args.wandb is not None:
        log_for_wandb(config, args.wandb)
    randomness = dict(config.get("randomness") or {})
    if args.seed is not None:
        randomness["seed"] = args.seed
    if args.diff_rank_seed:
        randomness["diff_rank_seed"] = True
    if args.deterministic:
        randomness["deterministic"] = True
    config.randomness = randomness


def main() -> int:
    args = parse_args()

    def train(config: Config) -> int:
        merge_args(config, args)
        if prepare_work_dir(config, args.resume):
            return 0

        from mmfusion.engine.hooks.graceful_stop_hook import signals_until_exit
        from mmfusion.engine.runner.distributed import close_process_group
        from mmfusion.registry import RUNNERS

        runner = RUNNERS.build(config)
        with signals_until_exit(runner):
            runner.train()
            close_process_group()
        return runner.exit_code

    return run_job(args, train)


if __name__ == "__main__":
    sys.exit(main())
