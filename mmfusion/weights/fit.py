"""Bring published tensors to the keys and shapes of one of our modules."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfusion.weights.families import FAMILIES, Family

_SHOWN = 6  # keys of a line of the report


@dataclass
class FitReport:
    """What became of each tensor of a file, and of each of the model.

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


def family_of(module: nn.Module) -> tuple[Family | None, str]:
    """The family whose weights fit ``module``, and where in it its backbone is.

    A backbone names its family by a class attribute ``published``; a recognizer has
    that of its video encoder, at ``encoders.video.``.
    """
    for prefix, part in (("", module), ("encoders.video.", _video_encoder(module))):
        name = getattr(type(part), "published", None)
        if name is not None:
            return FAMILIES[name], prefix
    return None, ""


def _video_encoder(module: nn.Module) -> nn.Module | None:
    encoders = getattr(module, "encoders", None)
    return encoders["video"] if encoders is not None and "video" in encoders else None


def fit_published(
    tensors: Mapping[str, Tensor], module: nn.Module, *, interpolate: bool = True
) -> tuple[dict[str, Tensor], FitReport]:
    """Rename and resize published tensors for ``module``; nothing is loaded here.

    Args:
        tensors: a file's tensors, out of their containers. module: a backbone with a
            family, or a recognizer whose video encoder has one. Of a module without a
            family, and of a recognizer's own checkpoint, nothing is renamed.
        interpolate: whether tables of positions and of times of another size are
            resized: bicubic in a frame, linear in time (a longer table is cut where the
            authors cut it). False leaves them, and the caller finds the difference.

    Returns:
        Tensors by the module's keys, some perhaps missing, surplus or of another shape:
        that is the caller's error to raise. And the report.
    """
    report = FitReport()
    family, prefix = family_of(module)
    wanted = module.state_dict()
    if family is None or _is_own(tensors, family, prefix):
        report.loaded = [key for key in tensors if key in wanted]
        return dict(tensors), report
    fitted: dict[str, Tensor] = {}
    for key, value in tensors.items():
        target = _target(key, family, prefix, wanted, report)
        if target is None:
            continue
        name = target.removeprefix(prefix)
        if target in wanted and value.shape != wanted[target].shape:
            value, done = _resized(name, value, wanted[target], family, interpolate)
            if done:
                report.changed[target] = done
        if target in wanted and target not in report.changed:
            report.loaded.append(target)
        fitted[target] = value
    if family.inflates and prefix + family.inflates in report.changed:
        for key in wanted.keys() - fitted.keys():
            name = key.removeprefix(prefix)
            if any(re.search(pattern, name) for pattern in family.from_images):
                report.fresh[key] = "image weights have none"
    return fitted, report


def _is_own(tensors: Mapping[str, Tensor], family: Family, prefix: str) -> bool:
    if prefix and any(key.startswith(prefix) for key in tensors):
        return True
    marker = family.marker
    return marker is not None and not any(re.search(marker, key) for key in tensors)


def _target(
    key: str,
    family: Family,
    prefix: str,
    wanted: Mapping[str, Tensor],
    report: FitReport,
) -> str | None:
    """The module's key for a published one; None where it is unused."""
    for pattern, reason in family.unused.items():
        if re.search(pattern, key):
            report.unused[key] = reason
            return None
    for pattern, task in family.heads:
        found = re.search(pattern, key)
        if found:
            target = f"heads.{task}.fc.{found[1]}"
            if target in wanted:
                return target
            report.unused[key] = f"the published {task} head"
            return None
    for pattern, replacement in family.renames:
        key = re.sub(pattern, replacement, key)
    return prefix + key


def _resized(
    name: str, value: Tensor, like: Tensor, family: Family, interpolate: bool
) -> tuple[Tensor, str]:
    """A tensor in the shape of ``like`` and what was done, or as it is and ''."""
    shapes = f"{tuple(value.shape)} -> {tuple(like.shape)}"
    if name == family.flattened and value.numel() == like.numel():
        return value.view(like.shape), f"reshaped {shapes}"
    if name == family.inflates and value.dim() == 4 and like.dim() == 5:
        kernel = value.new_zeros(like.shape)
        if kernel[:, :, 0].shape == value.shape:
            kernel[:, :, like.shape[2] // 2] = value
            return kernel, f"inflated into the middle frame {shapes}"
    same_rows = value.dim() == like.dim() and value.shape[-1] == like.shape[-1]
    if not interpolate or not same_rows:
        return value, ""
    if name == family.space:
        return _resize_space(value, like), f"interpolated (bicubic) {shapes}"
    if name == family.time:
        if family.truncates_time and value.shape[-2] > like.shape[-2]:
            return value[..., : like.shape[-2], :], f"cut as the authors do {shapes}"
        return _resize_time(value, like.shape[-2]), f"interpolated (linear) {shapes}"
    return value, ""


def _resize_space(table: Tensor, like: Tensor) -> Tensor:
    """(..., 1 + s s, d) -> (..., 1 + r r, d); the CLS token's entry stays."""
    flat = table.reshape(-1, table.shape[-1])
    old, new = (round((n - 1) ** 0.5) for n in (len(flat), like.shape[-2]))
    if old * old + 1 != len(flat) or new * new + 1 != like.shape[-2]:
        return table  # not square: the caller names the shapes
    grid = flat[1:].T.reshape(1, -1, old, old)
    grid = F.interpolate(grid.float(), (new, new), mode="bicubic")
    rows = grid.flatten(2)[0].T.to(flat.dtype)  # (r r, d)
    return torch.cat([flat[:1], rows]).reshape(like.shape)


def _resize_time(table: Tensor, length: int) -> Tensor:
    """(..., t, d) -> (..., length, d)."""
    rows = table.reshape(1, -1, table.shape[-1]).mT.float()  # (1, d, t)
    rows = F.interpolate(rows, length, mode="linear").mT.to(table.dtype)
    return rows.reshape(*table.shape[:-2], length, -1)
