"""Labels and scores of a clip and its origin, which travel beside the inputs."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

# fields of MMAction2's data samples, which its metrics read
MMACTION_LABEL = "gt_label"
_SCORE, _MAIN = "score_", "action"
_SHARED_KINDS = (torch.int64, torch.float32, torch.float64, torch.bool)
_SMALL = 512  # numbers
POINTS = ("start", "end")  # of an action, where a moment stands for it


class ActionDataSample(BaseDataElement):
    """Labels and scores of one clip.

    Data fields are named by task (``action``, ``verb``, ``noun``...): ``gt_<task>`` is
    a 0-d int64 tensor, ``score_<task>`` a (k,) tensor of probabilities. Where every
    moment of a video has its label and its scores, both are (t, k + 1), distributions
    of which the last class is background. ``past_<task>`` are the labels (t,) of the
    moments that an anticipating model observes, -1 for none.
    ``metainfo`` holds ``sample_id`` (str) and what the pipeline wants to hand on.

    Example:
        >>> import torch
        >>> sample = ActionDataSample(metainfo=dict(sample_id="P01_11_0"))
        >>> sample.gt_verb = torch.tensor(3)
        >>> sample.tasks()
        ['verb']
    """

    def __getstate__(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Small tensors as arrays, which travel between processes by value.

        PyTorch would make shared memory and a file descriptor of each label.
        """
        values = dict(self.__dict__)
        plain = {
            name: values.pop(name).numpy()
            for name, value in self.__dict__.items()
            if isinstance(value, Tensor) and _is_small(value)
        }
        return values, plain

    def __setstate__(self, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
        values, plain = state
        self.__dict__.update(values)
        self.__dict__.update({k: torch.from_numpy(v) for k, v in plain.items()})

    def tasks(self) -> list[str]:
        """The tasks that have a label, sorted."""
        return sorted(key[3:] for key in self.keys() if key.startswith("gt_"))

    def to_dict(self) -> dict[str, Any]:
        """Everything as a dict, which is what metrics get.

        MMAction2's names stand in it, too, for the task ``action`` or the only one:
        ``pred_score`` (k,), ``pred_label`` (1,) and, with a label, ``gt_label`` (1,).
        """
        fields: dict[str, Any] = super().to_dict()
        task = main_task(
            key.removeprefix(_SCORE) for key in fields if key.startswith(_SCORE)
        )
        if task is None or f"{_SCORE}{task}" not in fields or of_moments(fields):
            return fields
        fields["pred_score"] = fields[f"{_SCORE}{task}"]
        fields["pred_label"] = fields["pred_score"].argmax(0, keepdim=True)
        if f"gt_{task}" in fields:
            fields[MMACTION_LABEL] = fields[f"gt_{task}"].reshape(1)
        return fields


def _is_small(value: Tensor) -> bool:
    """Tell whether a tensor is one that NumPy has, too, and below a page of memory."""
    return (
        value.dtype in _SHARED_KINDS
        and value.device.type == "cpu"
        and not value.requires_grad
        and value.numel() <= _SMALL
    )


def of_moments(sample: Mapping[str, Any]) -> bool:
    """Tell whether a data sample's scores are of moments, (t, k + 1), not of a clip."""
    return any(key.startswith(_SCORE) and sample[key].ndim > 1 for key in sample)


def main_task(tasks: Iterable[str]) -> str | None:
    """The one task that a metric of a single task means; None where none stands out."""
    names = [*tasks]
    if _MAIN in names:
        return _MAIN
    return names[0] if len(names) == 1 else None
