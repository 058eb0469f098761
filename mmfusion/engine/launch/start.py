"""Start of the command-line tools: plugins, config, work folder, clear failures."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.logging import print_log

from mmfusion.engine.launch.build_errors import explain_build_error
from mmfusion.engine.launch.completion import complete_config
from mmfusion.engine.launch.config_check import load_config
from mmfusion.engine.launch.config_compare import comparable_config, config_difference
from mmfusion.engine.launch.loggers import drop_wandb
from mmfusion.engine.runner.precision import keep_precision
from mmfusion.engine.runner.work_dir import (
    BEST,
    Checkpoints,
    WorkDirLock,
    best_meta,
    check_no_run,
    check_overwrites,
    check_some_whole,
    find_checkpoints,
    read_finished,
    set_aside,
)
from mmfusion.utils.commands import say_once
from mmfusion.utils.errors import (
    CheckpointError,
    ConfigError,
    MediaError,
    MMFusionError,
    NonFiniteError,
    WorkDirError,
    exit_code_of,
)
from mmfusion.weights.files import peek_meta


class OptionsAction(DictAction):
    """MMEngine's ``KEY=VALUE ...``; what it cannot read is an error of the command."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add the options; a value with brackets that are no list never ends there."""
        try:
            super().__call__(parser, namespace, values, option_string)
        except (RecursionError, AssertionError, ValueError):
            parser.error(
                f"{option_string} {' '.join(values)}: expected KEY=VALUE, a list as"
                " [a,b]; of a dict each key by itself, such as train_cfg.max_epochs=30"
            )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that every tool has which runs a config, in one process or several."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=OptionsAction,
        help="change the config: key.key=value, lists as [a,b] or a,b",
    )
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="how the processes were started",
    )
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of every error"
    )


def prepare_config(args: argparse.Namespace) -> Config:
    """Read the config of the command line, plugins beside it included; complete it.

    The config's folder and the current one are importable, so that ``custom_imports``
    and plain imports of a config find a user's own files.

    Args:
        args: ``config``, ``cfg_options``, ``work_dir``, ``launcher``, ``local_rank``.
    """
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    for folder in (str(Path(args.config).resolve().parent), os.getcwd()):
        if folder not in sys.path:
            sys.path.append(folder)
    config = load_config(args.config, args.cfg_options)
    complete_config(config)
    config.launcher = args.launcher
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get("work_dir") is None:
        config.work_dir = f"work_dirs/{Path(args.config).stem}"
    config.setdefault("default_scope", "mmfusion")
    config.setdefault("runner_type", "mmfusion.FusionRunner")
    return config


def only_test(config: Config, checkpoint: str) -> None:
    """Drop what trains and validates from a config; load a checkpoint.

    The model's keys get the order of the card in the checkpoint: a neck reads its
    streams in that order, and configs that older runs wrote have the alphabet's.
    """
    for key in (
        "train_dataloader",
        "train_cfg",
        "optim_wrapper",
        "param_scheduler",
        "val_dataloader",
        "val_cfg",
        "val_evaluator",
    ):
        config[key] = None
    config.model.pop("auxiliary", None)  # of its training
    config.resume = False
    config.load_from = checkpoint
    if Path(checkpoint).is_file():
        card = (peek_meta(checkpoint) or {}).get("card")
        if isinstance(card, Mapping):
            _put_in_order(config.model, card.get("model"))
    drop_wandb(config)


def _put_in_order(config: Any, like: Any) -> None:
    """Order the keys of a config as in another, at every depth; in place."""
    if not isinstance(config, dict) or not isinstance(like, Mapping):
        return
    known = [key for key in like if key in config]
    for key in [*known, *(config.keys() - like.keys())]:
        value = dict.pop(config, key)  # ConfigDict's own would import what it names
        _put_in_order(value, like.get(key))
        dict.__setitem__(config, key, value)


def prepare_work_dir(config: Config, resume: str | None) -> bool:
    """Lock the work folder and decide between a new run and a continued one.

    Args:
        config: complete; ``resume`` is set here.
        resume: the option ``--resume``: a path, ``'auto'``, or None if not given.

    Returns:
        True if the folder has this very run, complete: nothing is to be done.

    Raises:
        WorkDirError: another process uses the folder, it has a run of another config
            or seed, or files that no run of ours wrote and this one would overwrite.
        CheckpointError: it has checkpoints and every one is damaged.
    """
    folder = Path(config.work_dir)
    first = int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", 0))) == 0
    if first:
        WorkDirLock(folder)  # held until the process ends
    found = find_checkpoints(folder)
    check_some_whole(folder, found)
    check_overwrites(folder, config, found)
    if resume is not None and resume != "auto":
        config.resume = resume
        if Path(resume).is_file():
            keep_precision(config, peek_meta(resume))
        if Path(resume).resolve().parent != folder.resolve():
            _check_same_run(folder, config, found)
        return False
    newest = found.good[0][1] if found.good else best_meta(folder / BEST)
    keep_precision(config, newest)
    finished = read_finished(folder)
    if resume is None or not found.good:
        _check_same_run(folder, config, found)
    if resume is None and finished is not None:
        text = f"{folder} has this run, complete: {json.dumps(finished)}"
        print_log(text, "current")
        return True
    if found.good:
        config.resume = "newest"
    elif finished is not None:
        check_no_run(folder, found)
    elif first and (folder / BEST).exists():  # cut off before its first checkpoint
        kept = set_aside(folder / BEST, "earlier")
        text = f"no checkpoint to go on from in {folder}; its best.pth is now {kept}"
        print_log(text, "current", logging.WARNING)
    return False


def _check_same_run(folder: Path, config: Config, found: Checkpoints) -> None:
    """Refuse a folder that has another run than this one; an empty one is none.

    Raises:
        WorkDirError: what is there is of another config, or nothing tells of which.
    """
    meta = found.good[0][1] if found.good else best_meta(folder / BEST)
    if meta is None:
        check_no_run(folder, found)
        return
    difference = config_difference(
        json.loads(meta["settings"]), comparable_config(config)
    )
    if difference:
        kind = "a run" if read_finished(folder) is None else "a complete run"
        more = ", or --resume to continue it with this config" if found.good else ""
        raise WorkDirError(
            f"{folder} has {kind} of another config:\n{difference}\n"
            f"Give another --work-dir{more}."
        )


def run_job(args: argparse.Namespace, job: Callable[[Config], int]) -> int:
    """Read the config and do the job; the exit code.

    An error that a user can act on becomes one message on stderr, unless ``--debug``.

    Args:
        args: as of :func:`prepare_config`, and ``debug``.
        job: is given the config; it may change it. Its number is the exit code.
    """
    config = None
    try:
        config = prepare_config(args)
        return job(config)
    except Exception as error:
        text = None if args.debug else _explained(error, config)
        if text is None:
            raise
        say_once(f"error: {text}\n(--debug shows where)\n")
        # config and command are right where a clip of the data cannot be read
        return 1 if isinstance(error, MediaError) else exit_code_of(error)


def _explained(error: Exception, config: Config | None) -> str | None:
    """The message for ``error``; None leaves it as it is."""
    if isinstance(error, CheckpointError | ConfigError | NonFiniteError | WorkDirError):
        return str(error)
    text = explain_build_error(config, error)
    if text is not None or not isinstance(error, MMFusionError | OSError):
        return text
    name = type(error).__name__
    # from a worker of a loader comes its whole traceback, the message last
    return f"{name}: {str(error).rpartition(f'{name}: ')[2].strip()}"
