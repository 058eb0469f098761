"""Bring a file's tensors to the keys and shapes of one of our modules, strictly."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfusion.utils.errors import CheckpointError

_SHOWN = 6  # keys of a line of the report


@dataclass(frozen=True)
class PublishedWeights:
    """Rules by which keys of published weights become those of our backbone.

    Attributes:
        marker: a pattern that some key of a published file matches; a file without is
            taken for one of ours. None: the table changes nothing in ours.
        renames: (pattern, replacement) pairs for ``re.sub``, applied in order.
        unused: patterns of keys that the backbone does not have, and why.
        heads: (pattern, task): the published classifier of a task; group 1 is
            ``weight`` or ``bias``.
        elsewhere: (pattern, replacement) pairs of keys of a whole published model that
            belong to other parts of a recognizer, whose whole names they become; a
            module without that part has no use for them.
        space: the table of positions in a frame, its first entry the CLS token's.
        time: the table of times. A last axis of channels, the one before it resized.
        truncates_time: whether the authors cut a longer table instead of resizing it.
        inflates: the patch convolution: an image's (d, 3, h, w) kernel is put into the
            middle frame of the video's.
        flattened: the one kernel that is published as (d, 3 h w) too, AVION's fast
            patches; nothing else is taken in another shape of as many numbers.
        from_images: patterns of keys that image weights lack; they keep their start.
    """

    marker: str | None = None
    renames: tuple[tuple[str, str], ...] = ()
    unused: dict[str, str] = field(default_factory=dict)
    heads: tuple[tuple[str, str], ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()
    space: str | None = None
    time: str | None = None
    truncates_time: bool = False
    inflates: str | None = None
    flattened: str | None = None
    from_images: tuple[str, ...] = ()


@dataclass
class FitReport:
    """Fate of each tensor of a file, and of each of the model.

    Attributes:
        loaded: keys of the model that come from the file as they are.
        changed: what was done to others, by key: interpolated, inflated, reshaped.
        fresh: keys of the model that keep their start, and why.
        unused: keys of the file that the model has no use for, and why.
    """

    loaded: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{len(self.loaded) + len(self.changed)} tensors loaded"]
        lines += [f"  {key}: {done}" for key, done in self.changed.items()]
        for title, keys in (("fresh", self.fresh), ("unused", self.unused)):
            for reason in dict.fromkeys(keys.values()):
                named = [key for key, why in keys.items() if why == reason]
                shown = ", ".join(named[:_SHOWN]) + (", ..." if named[_SHOWN:] else "")
                lines.append(f"  {len(named)} {title} ({reason}): {shown}")
        return "\n".join(lines)


@runtime_checkable
class HasPublishedWeights(Protocol):
    """A backbone whose authors published weights.

    Attributes:
        published_weights: what brings them to the backbone's keys and shapes.
    """

    published_weights: PublishedWeights


@runtime_checkable
class HasTrainingParts(Protocol):
    """A model with parts that training alone needs.

    Attributes:
        training_only: prefixes of their keys; a model that is built without these parts
            takes no notice of such keys in a file.
    """

    training_only: tuple[str, ...]


def find_published(module: nn.Module) -> tuple[PublishedWeights | None, str]:
    """The table of the one backbone in ``module`` that has one, and its prefix there.

    A recognizer's is ``encoders.video.``, a backbone's own is empty. No such backbone,
    or several of them: None.
    """
    found = [
        (part.published_weights, f"{name}." if name else "")
        for name, part in module.named_modules()
        if isinstance(part, HasPublishedWeights)
    ]
    return found[0] if len(found) == 1 else (None, "")


def fit(
    tensors: Mapping[str, Tensor],
    module: nn.Module,
    source: str,
    *,
    ignore: Sequence[str] = (),
    fresh: Sequence[str] = (),
    interpolate: bool = True,
) -> tuple[dict[str, Tensor], FitReport]:
    """Tensors for ``module``, each of its keys there and none left over.

    Args:
        tensors: a file's tensors, out of their containers. module: a backbone, or a
            recognizer; where one has ``published_weights``, the file may be its own or
            the authors', which is renamed and resized. source: its name, for messages.
        ignore: prefixes, or patterns with ``*``, of keys that may differ: what fits is
            taken. fresh: of keys that keep their start even where the file has them.
        interpolate: resize tables of positions and of times: bicubic in a frame, linear
            in time (a longer table is cut where the authors cut it).

    Returns:
        Tensors by the module's keys and in their shapes, for ``load_state_dict(...,
        strict=False)``, and the report.

    Raises:
        CheckpointError: keys, shapes or kinds of numbers differ, two keys of the file
            are one of the model, or numbers are not finite; the message lists them.
    """
    found, report = _renamed(tensors, module, source, interpolate)
    own = module.state_dict()
    _leave_training(found, module, own, report)
    kept = [key for key in own if _matches(key, fresh)]
    report.fresh |= dict.fromkeys(kept, "kept fresh by request")
    found = {key: value for key, value in found.items() if key not in kept}
    strict = {key: v for key, v in own.items() if not _matches(key, ignore)}
    given = {key: v for key, v in found.items() if not _matches(key, ignore)}
    given |= {key: own[key] for key in report.fresh if key in strict}
    difference = state_dict_difference(strict, given)
    if difference:
        raise CheckpointError(
            f"{source} does not fit {type(module).__name__}:\n{difference}\n"
            "Give the checkpoint of this very model, or name what may differ in"
            " init_cfg = dict(type='Pretrained', ..., ignore=[...])."
        )
    usable = {k: v for k, v in found.items() if k in own and v.shape == own[k].shape}
    _check_values(usable, own, f"{source} does not fit {type(module).__name__}")
    report.loaded = [key for key in report.loaded if key in usable]
    ignored = [key for key in own if key not in usable and key not in report.fresh]
    report.fresh |= dict.fromkeys(ignored, "ignored by request")
    surplus = [key for key in found if key not in usable]
    report.unused |= dict.fromkeys(surplus, "ignored by request")
    return usable, report


def _leave_training(
    found: dict[str, Tensor],
    module: nn.Module,
    own: Mapping[str, Tensor],
    report: FitReport,
) -> None:
    """Take out what served the training of a file, where the module lacks that part."""
    if not isinstance(module, HasTrainingParts):
        return
    for prefix in module.training_only:
        if not any(key.startswith(prefix) for key in own):
            for key in [key for key in found if key.startswith(prefix)]:
                del found[key]
                report.unused[key] = "of training alone"


def _matches(key: str, names: Sequence[str]) -> bool:
    """A name is a prefix of ``key``, or a pattern with ``*`` that fits it."""
    return any(
        fnmatchcase(key, name) if "*" in name else key.startswith(name)
        for name in names
    )


def _check_values(
    found: Mapping[str, Tensor], own: Mapping[str, Tensor], message: str
) -> None:
    """Refuse what a copy would change in silence, or what no training wrote.

    Floats of any precision are taken for floats.
    """
    kinds = [
        f"{key}: file {_kind(value)}, model {_kind(own[key])}"
        for key, value in found.items()
        if not _is_plain(value)
        or value.is_floating_point() != own[key].is_floating_point()
        or (value.dtype != own[key].dtype and not value.is_floating_point())
    ]
    bad = [
        key
        for key, value in found.items()
        if not kinds and value.is_floating_point() and not _is_finite(value, own[key])
    ]
    for what, keys in (("of another kind", kinds), ("not finite", bad)):
        if keys:
            lines = _listed(what, keys, _SHOWN)
            raise CheckpointError("\n".join([f"{message}:", *lines]))


def _is_plain(value: Tensor) -> bool:
    return value.layout == torch.strided and value.device.type != "meta"


def _kind(value: Tensor) -> str:
    return str(value.dtype if _is_plain(value) else value.layout).removeprefix("torch.")


def _is_finite(value: Tensor, like: Tensor) -> bool:
    """False for a NaN or infinity in the model's precision that the model has not."""
    finite = (
        torch.isfinite(value.to(like.dtype)).all() or not torch.isfinite(like).all()
    )
    return bool(finite)


def _renamed(
    tensors: Mapping[str, Tensor], module: nn.Module, source: str, interpolate: bool
) -> tuple[dict[str, Tensor], FitReport]:
    """Tensors by the module's keys, some perhaps missing, surplus or of another shape.

    Of a module without a table, and of a recognizer's own checkpoint, none is renamed.
    """
    report = FitReport()
    table, prefix = find_published(module)
    wanted = module.state_dict()
    if table is None or _is_own(tensors, table, prefix):
        report.loaded = [key for key in tensors if key in wanted]
        return dict(tensors), report
    fitted: dict[str, Tensor] = {}
    came_from: dict[str, str] = {}
    for key, value in tensors.items():
        target = _target(key, table, prefix, wanted, report)
        if target is None:
            continue
        if target in fitted:
            raise CheckpointError(
                f"{source} has both {came_from[target]!r} and {key!r}, which are one"
                f" tensor of the model, {target!r}: it is no file of one model. Remove"
                " one of the two"
            )
        came_from[target] = key
        name = target.removeprefix(prefix)
        if target in wanted and value.shape != wanted[target].shape:
            value, done = _resized(name, value, wanted[target], table, interpolate)
            if done:
                report.changed[target] = done
        if target in wanted and target not in report.changed:
            report.loaded.append(target)
        fitted[target] = value
    if table.inflates and prefix + table.inflates in report.changed:
        for key in wanted.keys() - fitted.keys():
            name = key.removeprefix(prefix)
            if any(re.search(pattern, name) for pattern in table.from_images):
                report.fresh[key] = "image weights have none"
    return fitted, report


def _is_own(
    tensors: Mapping[str, Tensor], table: PublishedWeights, prefix: str
) -> bool:
    if prefix and any(key.startswith(prefix) for key in tensors):
        return True
    marker = table.marker
    return marker is not None and not any(re.search(marker, key) for key in tensors)


def _target(
    key: str,
    table: PublishedWeights,
    prefix: str,
    wanted: Mapping[str, Tensor],
    report: FitReport,
) -> str | None:
    """The module's key for a published one; None where it is unused."""
    for pattern, reason in table.unused.items():
        if re.search(pattern, key):
            report.unused[key] = reason
            return None
    for pattern, replacement in table.elsewhere:
        if re.search(pattern, key):
            target = re.sub(pattern, replacement, key)
            if prefix or target in wanted:
                return target
            report.unused[key] = "another part of the published model"
            return None
    for pattern, replacement in table.renames:
        key = re.sub(pattern, replacement, key)
    for pattern, task in table.heads:
        found = re.search(pattern, key)
        if found:
            target = f"heads.{task}.fc.{found[1]}"
            if target in wanted:
                return target
            report.unused[key] = f"the published {task} head"
            return None
    return prefix + key


def _resized(
    name: str, value: Tensor, like: Tensor, table: PublishedWeights, interpolate: bool
) -> tuple[Tensor, str]:
    """A tensor in the shape of ``like`` and what was done, or as it is and ''."""
    shapes = f"{tuple(value.shape)} -> {tuple(like.shape)}"
    if not value.is_floating_point() or not _is_plain(value):
        return value, ""
    if name == table.flattened and value.shape == like.flatten(1).shape:
        return value.reshape(like.shape), f"reshaped {shapes}"
    if name == table.inflates and value.dim() == 4 and like.dim() == 5:
        kernel = value.new_zeros(like.shape)
        if kernel[:, :, 0].shape == value.shape:
            kernel[:, :, like.shape[2] // 2] = value
            return kernel, f"inflated into the middle frame {shapes}"
    old, new = (x.shape[:-2] + x.shape[-1:] for x in (value, like))
    if not interpolate or value.dim() < 2 or old != new or not value.numel():
        return value, ""
    if name == table.space and _side(value) > 1 and _side(like):
        return _resize_space(value, like), f"interpolated (bicubic) {shapes}"
    if name == table.time:
        if table.truncates_time and value.shape[-2] > like.shape[-2]:
            return value[..., : like.shape[-2], :], f"cut as the authors do {shapes}"
        return _resize_time(value, like.shape[-2]), f"interpolated (linear) {shapes}"
    return value, ""


def _side(table: Tensor) -> int:
    """Side of the square of positions in (..., 1 + s s, d); 0 if it is none."""
    count = table.shape[-2] - 1
    side = math.isqrt(max(count, 0))
    return side if side * side == count else 0


def _resize_space(table: Tensor, like: Tensor) -> Tensor:
    """(..., 1 + s s, d) -> (..., 1 + r r, d); the CLS token's entry stays."""
    flat, old, new = table.reshape(-1, table.shape[-1]), _side(table), _side(like)
    grid = flat[1:].T.reshape(1, -1, old, old)
    grid = F.interpolate(grid.float(), (new, new), mode="bicubic")
    rows = grid.flatten(2)[0].T.to(flat.dtype)  # (r r, d)
    return torch.cat([flat[:1], rows]).reshape(like.shape)


def _resize_time(table: Tensor, length: int) -> Tensor:
    """(..., t, d) -> (..., length, d)."""
    rows = table.reshape(1, -1, table.shape[-1]).mT.float()  # (1, d, t)
    rows = F.interpolate(rows, length, mode="linear").mT.to(table.dtype)
    return rows.reshape(*table.shape[:-2], length, -1)


def state_dict_difference(
    expected: Mapping[str, Tensor], given: Mapping[str, Tensor], max_lines: int = 8
) -> str:
    """Reasons that keep ``given`` out of a model of ``expected``; '' if there are none.

    Args:
        expected: the model's own state dict.
        given: the state dict of the file.
        max_lines: keys listed of each kind.
    """
    missing = sorted(expected.keys() - given.keys())
    surplus = sorted(given.keys() - expected.keys())
    shapes = [
        f"{key}: file {tuple(given[key].shape)}, model {tuple(expected[key].shape)}"
        for key in expected
        if key in given and given[key].shape != expected[key].shape
    ]
    lines = []
    for title, keys in (
        ("of another shape", shapes),
        ("missing in the file", missing),
        ("not in the model", surplus),
    ):
        lines += _listed(title, keys, max_lines)
    return "\n".join(lines)


def _listed(title: str, keys: Sequence[str], max_lines: int) -> list[str]:
    """Lines that count ``keys`` and name the first of them; none if there are none."""
    if not keys:
        return []
    lines = [f"  {len(keys)} {title}:", *(f"    {key}" for key in keys[:max_lines])]
    if len(keys) > max_lines:
        lines.append(f"    ... and {len(keys) - max_lines} more")
    return lines
