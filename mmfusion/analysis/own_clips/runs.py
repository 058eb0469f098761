"""Trainings on one's own clips, and the page about them."""

from collections.abc import Sequence
from pathlib import Path

from mmfusion.analysis.experiments import Run
from mmfusion.analysis.experiments import plan as plan_experiments
from mmfusion.analysis.own_clips.data import OwnData
from mmfusion.analysis.own_clips.plan import Plan, TryOptions
from mmfusion.analysis.run_page import make_page
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


def page_of(runs: Sequence[TrainedRun], plan: Plan, options: TryOptions) -> Page:
    """The page about trained and tested runs."""
    cautions = []
    if not plan.counts.get("val"):
        cautions.append(
            "There were too few clips to keep some for validation: the best epoch was"
            " chosen by the clips that were trained on."
        )
    again = f"python tools/try.py {options.folder} --out {options.out}"
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
                f"{again}-more",
            ),
            Command("Larger models, on a GPU:", f"{again}-tiny --arch tiny"),
        ],
    )
