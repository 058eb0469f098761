"""The learning rates of a config: its optimizer's groups, and their curves in a PNG.

    python tools/analysis/lr_table.py configs/mambavl/mambavl_base_ek100.py
    python tools/analysis/lr_table.py CONFIG --out lr.png --list

The model is built without content: no weights, no data and hardly any memory are
needed. Rates are those of the batch size that the config is given for; with
--batch-size, as `--auto-scale-lr` would scale them for that total batch. Exit codes: 0
done, 2 wrong config or command.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import torch
from experiments import read_config
from mmengine.config import Config, DictAction
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mmfusion.registry import (
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    PARAM_SCHEDULERS,
)
from mmfusion.utils.errors import ConfigError
from mmfusion.utils.paths import write_atomic

_MOST_NAMES = 4
_MOST_CURVES = 10  # that a legend names


@dataclass(frozen=True)
class Group:
    """One parameter group of an optimizer, through a whole training.

    Attributes:
        names: of its parameters.
        num_values: numbers in them.
        weight_decay: of the group.
        rates: learning rate at each step.
    """

    names: list[str]
    num_values: int
    weight_decay: float
    rates: list[float]

    @property
    def peak(self) -> float:
        """The highest rate."""
        return max(self.rates)

    def parts(self, depth: int) -> dict[str, None]:
        """Its parts of the model; ``depth`` names of an encoder, one of the rest."""
        return dict.fromkeys(_part(name, depth) for name in self.names)


def _part(name: str, depth: int) -> str:
    first, *rest = name.split(".")
    return ".".join([first, *rest[: depth - 1]]) if first == "encoders" else first


def titles_of(groups: Sequence[Group]) -> list[str]:
    """Each group's parts of the model, such as ``encoders.video, heads``.

    An encoder whose layers have several rates is named layer by layer.
    """
    titles = []
    for group in groups:
        others = [other for other in groups if other.peak != group.peak]
        for depth in (2, 3, 4):
            parts = group.parts(depth)
            if not any(parts.keys() & other.parts(depth).keys() for other in others):
                break
        shown = ", ".join([*parts][:_MOST_NAMES])
        titles.append(f"{shown}, ..." if len(parts) > _MOST_NAMES else shown)
    return titles


def follow(config: Config, *, steps: int = 20, scale: float = 1.0) -> list[Group]:
    """Build model, optimizer and schedulers, and step through every epoch.

    Args:
        config: complete.
        steps: iterations an epoch; curves by epoch do not depend on it.
        scale: factor of every rate, as of ``--auto-scale-lr``.

    Returns:
        The groups, the highest peak first.

    Raises:
        ConfigError: the config has no optimizer or no number of epochs.
    """
    for key in ("optim_wrapper", "train_cfg"):
        if not config.get(key):
            raise ConfigError(f"the config has no {key}, so nothing is trained")
    with torch.device("meta"):  # shapes are enough
        model = MODELS.build(config.model)
    wrapper = _build_optimizer(config, model)
    optimizer = wrapper.optimizer
    for group in optimizer.param_groups:
        group["lr"] *= scale
    schedulers = _build_schedulers(config, optimizer, steps)
    epochs = int(config.train_cfg["max_epochs"])
    rates: list[list[float]] = [[] for _ in optimizer.param_groups]
    for step in range(epochs * steps):
        for history, group in zip(rates, optimizer.param_groups, strict=True):
            history.append(float(group["lr"]))
        optimizer.step()  # without gradients; torch asks for it before a scheduler
        for scheduler in schedulers:
            if not scheduler.by_epoch or (step + 1) % steps == 0:
                scheduler.step()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = [
        Group(
            [names[id(p)] for p in group["params"]],
            sum(p.numel() for p in group["params"]),
            float(group.get("weight_decay", 0.0)),
            history,
        )
        for group, history in zip(optimizer.param_groups, rates, strict=True)
    ]
    return sorted(groups, key=lambda group: (-group.peak, -group.weight_decay))


def _build_optimizer(config: Config, model: torch.nn.Module) -> Any:
    options = dict(config.optim_wrapper)
    kind = options.pop("constructor", "DefaultOptimWrapperConstructor")
    paramwise = options.pop("paramwise_cfg", None)
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(type=kind, optim_wrapper_cfg=options, paramwise_cfg=paramwise)
    )
    return constructor(model)


def _build_schedulers(config: Config, optimizer: Any, steps: int) -> list[Any]:
    given = config.get("param_scheduler") or []
    given = given if isinstance(given, list) else [given]
    return [
        PARAM_SCHEDULERS.build(
            dict(one), default_args=dict(optimizer=optimizer, epoch_length=steps)
        )
        for one in given
    ]


def plot(groups: Sequence[Group], steps: int, title: str) -> bytes:
    """PNG: rate against epoch, on a logarithmic axis, one curve a group."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    styles = ("-", "--", ":", "-.")  # curves of equal rates lie on each other
    labels = [
        f"{title} (decay {group.weight_decay:g})"
        for title, group in zip(titles_of(groups), groups, strict=True)
    ]
    if len(labels) > _MOST_CURVES:
        more = len(labels) - _MOST_CURVES
        labels[_MOST_CURVES] = f"and {more} more"
        labels[_MOST_CURVES + 1 :] = ["_"] * (more - 1)  # not named
    for number, group in enumerate(groups):
        axes.plot(
            [step / steps for step in range(len(group.rates))],
            group.rates,
            styles[number % len(styles)],
            label=labels[number],
        )
    axes.set(yscale="log", xlabel="epoch", ylabel="learning rate", title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    pyplot.close(figure)
    return stream.getvalue()


def table_of(groups: Sequence[Group], title: str) -> Table:
    """One row a group."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("parameters of")  # wraps, so that no number is cut
    for name in ("first lr", "peak lr", "last lr", "weight decay", "tensors", "values"):
        table.add_column(name, justify="right", no_wrap=True)
    for group, parts in zip(groups, titles_of(groups), strict=True):
        table.add_row(
            parts,
            *(f"{x:.3g}" for x in (group.rates[0], group.peak, group.rates[-1])),
            f"{group.weight_decay:g}",
            str(len(group.names)),
            f"{group.num_values:,}",
        )
    return table


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("config", type=Path)
    add("--out", type=Path, help="PNG; work_dirs/lr/<config>.png if left")
    add("--steps", type=int, default=20, help="points of the curve an epoch")
    add("--batch-size", type=int, help="scale the rates for this total batch")
    add("--list", action="store_true", help="name every parameter of every group")
    add("--cfg-options", nargs="+", action=DictAction, default={}, help="key=value")
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error(f"--steps is {args.steps}, expected 1 or more")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        config = read_config(args.config, args.cfg_options)
        groups = follow(config, steps=args.steps, scale=_scale(config, args.batch_size))
    except (ConfigError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    name = args.config.stem
    console = Console()
    table = table_of(groups, f"{name}, {config.train_cfg.max_epochs} epochs")
    # no number is cut; a narrower terminal breaks the lines itself
    needed = console.measure(table, options=console.options.update(max_width=1000))
    console.width = max(console.width, min(needed.maximum, 130), needed.minimum)
    console.print(table)
    if args.list:
        for group in groups:
            console.print(f"lr {group.peak:.3g}, decay {group.weight_decay:g}:")
            console.print("  " + "\n  ".join(group.names), markup=False)
    out = args.out or Path("work_dirs/lr", f"{name}.png")
    write_atomic(out, plot(groups, args.steps, name))
    console.print(f"wrote {out}", highlight=False)
    return 0


def _scale(config: Config, batch_size: int | None) -> float:
    if batch_size is None:
        return 1.0
    base = (config.get("auto_scale_lr") or {}).get("base_batch_size")
    if base is None:
        raise ConfigError("--batch-size needs auto_scale_lr.base_batch_size")
    return batch_size / base


if __name__ == "__main__":
    sys.exit(main())
