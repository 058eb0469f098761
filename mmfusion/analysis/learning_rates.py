"""Learning rates of a config: its optimizer's groups, and their curves in a PNG."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmfusion.analysis.meta_device import without_content
from mmfusion.analysis.tables import Grid
from mmfusion.registry import MODELS, PARAM_SCHEDULERS
from mmfusion.utils.errors import ConfigError

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
    with without_content():
        model = MODELS.build(config.model)
    optimizer = build_optim_wrapper(model, config.optim_wrapper.to_dict()).optimizer
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


def rate_table(groups: Sequence[Group], title: str) -> Grid:
    """One row a group."""
    head = ["parameters of", "first lr", "peak lr", "last lr", "weight decay"]
    rows = [
        [
            parts,
            *(f"{x:.3g}" for x in (group.rates[0], group.peak, group.rates[-1])),
            f"{group.weight_decay:g}",
            str(len(group.names)),
            f"{group.num_values:,}",
        ]
        for group, parts in zip(groups, titles_of(groups), strict=True)
    ]
    return Grid(title, [*head, "tensors", "values"], rows)


def batch_scale(config: Config, batch_size: int) -> float:
    """Factor of every rate at a total batch size, as of ``--auto-scale-lr``."""
    base = (config.get("auto_scale_lr") or {}).get("base_batch_size")
    if base is None:
        raise ConfigError("--batch-size needs auto_scale_lr.base_batch_size")
    return batch_size / base
