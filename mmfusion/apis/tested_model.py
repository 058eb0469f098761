"""Command line of the tools that test one trained model and write tables of it."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmfusion.analysis.trained_runs import config_of_run
from mmfusion.apis.loading import checkpoint_of_run
from mmfusion.engine.launch.start import OptionsAction, run_job
from mmfusion.utils.commands import command_parser
from mmfusion.utils.errors import InputError
from mmfusion.utils.paths import write_atomic


def tested_model_parser(doc: str | None) -> argparse.ArgumentParser:
    """Parser of a tool that tests one trained model."""
    parser = command_parser(doc)
    add = parser.add_argument
    add("run", type=Path, help="work folder of a training, or a config")
    add("checkpoint", nargs="?", help="of the config; best.pth of a work folder")
    add("--out", type=Path, help="folder of the tables")
    add("--cfg-options", nargs="+", action=OptionsAction, help="key.key=value")
    add("--debug", action="store_true", help="show the traceback of every error")
    return parser


def run_tested_model(
    args: argparse.Namespace,
    name: str,
    job: Callable[[Config, argparse.Namespace], int],
) -> int:
    """Find a model's config and checkpoint, and do a job with it; the exit code.

    Args:
        args: of :func:`tested_model_parser`.
        name: of the folder of the tables, in that of the run.
        job: is given the config, and the arguments with ``config``, ``checkpoint`` and
            ``out`` filled in.

    Raises:
        InputError: a config without its checkpoint. WorkDirError, CheckpointError: a
            folder that is none of a run, or has no checkpoint.
    """
    if args.run.is_dir():
        args.out = args.out or args.run / name
        args.config = str(config_of_run(args.run))
        args.checkpoint = args.checkpoint or str(checkpoint_of_run(args.run))
    elif args.checkpoint is None:
        raise InputError(f"{args.run} is no folder; a config needs its CHECKPOINT, too")
    else:
        args.config = str(args.run)
        args.out = args.out or Path("work_dirs", args.run.stem, name)
    args.work_dir = str(args.out)
    args.launcher, args.local_rank = "none", 0
    return run_job(args, lambda config: job(config, args))


def write_both(folder: Path, name: str, text: str, content: Any) -> str:
    """Write NAME.md and NAME.json; a line that says so."""
    write_atomic(folder / f"{name}.md", text.encode())
    plain = json.dumps(content, indent=1, allow_nan=False)
    write_atomic(folder / f"{name}.json", f"{plain}\n".encode())
    return f"wrote {folder}/{name}.md and {name}.json"
