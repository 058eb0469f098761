"""Trainings on one's own clips, and the page about them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmfusion.analysis.experiments import Run
from mmfusion.analysis.experiments import plan as plan_experiments
from mmfusion.analysis.own_clips.data import OwnData
from mmfusion.analysis.own_clips.plan import Plan, TryOptions
from mmfusion.analysis.run_page import make_page, typed
from mmfusion.analysis.trained_runs import TrainedRun
from mmfusion.visualization.report import Command, Page

RUNS = "runs"  # folder in --out


def runs_of(plan: Plan, data: OwnData, configs: Path, tools: Path) -> list[Run]:
    """The trainings of a plan.

    Args:
        plan: models, epochs and batch size.
        data: of ``build_data``.
        configs: folder of the configs for one's own clips. tools: of train.py.
    """
    options = data.options
    common = {
        "train_dataloader.dataset.data_root": str(options.out),
        "train_dataloader.batch_size": plan.batch_size,
        "train_cfg.max_epochs": plan.epochs,
        "train_cfg.val_interval": plan.val_interval,
        "default_hooks.checkpoint.interval": plan.val_interval,
        "default_hooks.checkpoint.rule": "greater_or_equal",
    }
    if not plan.counts.get("val"):
        common["val_dataloader.dataset.split"] = "train"
    experiments = []
    for name, streams in plan.models.items():
        lead = "video" if "video" in streams else "skeleton"
        own = {**common, f"model.encoders.{lead}.arch": options.arch}
        experiments += plan_experiments([configs / f"{name}.py"], options=own)
    return [
        Run(experiment, options.seed + number, options.out / RUNS, tools)
        for number in range(options.seeds)
        for experiment in experiments
    ]


def page_of(
    runs: Sequence[TrainedRun], plan: Plan, options: TryOptions, out: Path
) -> Page:
    """The page about trained and tested runs, to be written to ``out``."""
    cautions = []
    if not plan.counts.get("val"):
        cautions.append(
            "There were too few clips to keep some for validation: the best epoch was"
            " chosen by the clips that were trained on."
        )
    larger = []
    if options.arch == "nano":
        command = _again(options, "tiny", arch="tiny")
        larger = [Command("Larger models, on a GPU:", command)]
    return make_page(
        runs,
        title=f"{options.folder.resolve().name}: "
        f"{plan.counts.get('train', 0)} clips to train on,"
        f" {plan.counts.get('test', 0)} to test",
        extra_cautions=cautions,
        commands=[
            Command(
                "More clips help most. Add them to the folder, and train again into"
                " another folder:",
                _again(options, "more", arch=options.arch),
            ),
            *larger,
        ],
        out=out,
    )


def _again(options: TryOptions, ending: str, *, arch: str) -> str:
    """The command of a try with other models or clips, as a shell reads it."""
    words: list[Any] = [options.folder, "--out", f"{options.out}-{ending}"]
    plain = TryOptions(options.folder, options.out)
    if arch != plain.arch:
        words += ["--arch", arch]
    for name in ("seeds", "parts", "hands", "models", "seed"):
        if getattr(options, name) != getattr(plain, name):
            words += [f"--{name}", getattr(options, name)]
    words += [] if options.with_hands else ["--no-hands"]
    words += ["--one-hand"] if options.one_hand else []
    words += ["--drop-faulty"] if options.drop_faulty else []
    return typed("tools/try.py", *words)
