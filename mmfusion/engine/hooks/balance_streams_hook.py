"""Balance what the streams of a fusion learn, by their encoders' gradients."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from torch import Tensor

from mmfusion.engine.hooks.stream_balance import (
    Kept,
    agm_coefficients,
    label_loss,
    ogm_coefficients,
    own_probability,
    shapley_values,
)
from mmfusion.models import MultiModalRecognizer
from mmfusion.registry import HOOKS
from mmfusion.structures import ActionDataSample, TokenFeatures, keep_streams
from mmfusion.utils.errors import ConfigError, check_choice

METHODS = ("ogm", "ogm_ge", "agm")
Features = Mapping[str, TokenFeatures]


@HOOKS.register_module()
class BalanceStreamsHook(Hook):
    """Scale each encoder's gradients by how far its stream is ahead of the others.

    In each step the neck and the heads answer with each stream alone, the others
    absent, in evaluation mode and without gradients; from what the answers give the
    label follow the coefficients (:mod:`~mmfusion.engine.hooks.stream_balance`):

    - ``ogm``: On-the-fly Gradient Modulation (Peng et al., CVPR 2022). Its release
      reads a stream's own part of a linear head; with the others absent, this works for
      any neck, too.
    - ``ogm_ge``: with its generalisation enhancement: to the gradient of each weight of
      two dimensions or more noise is added, normal, of the gradient's own standard
      deviation (the release: of convolutions).
    - ``agm``: Adaptive Gradient Modulation (Li et al., ICCV 2023), from the answers to
      every subset of the streams. Its release scales the gradient of a stream's share
      of the logits, which reaches the neck, too; here encoders alone are scaled.

    Samples that lack a stream say nothing of it, those without a label nothing at all.
    What an encoder's gradient is scaled by is in the log as ``balance_<stream>``. Where
    gradients are clipped, they are clipped after it.

    Args:
        method: one of the three. alpha: how strong, 0 (nothing) or more; the papers'
            are 0.1 to 1.
        task: whose head and labels are read.
        end_epoch: epochs with it, the first ones; None is all.

    Raises:
        ValueError: another method, or alpha below 0.
    """

    priority = "NORMAL"  # before the logger

    def __init__(
        self,
        method: str = "ogm_ge",
        *,
        alpha: float,
        task: str = "action",
        end_epoch: int | None = None,
    ) -> None:
        check_choice("method", method, METHODS)
        if not alpha >= 0:
            raise ConfigError(f"alpha is {alpha}, expected 0 or more")
        self.method, self.alpha, self.task = method, alpha, task
        self.end_epoch = end_epoch
        self.coefficients: dict[str, float] = {}
        self._means: dict[str, float] = {}
        self._steps = 0
        self._is_on = self._is_busy = False
        self._batch: dict[str, Any] = {}
        self._handles: list[Any] = []

    def state_dict(self) -> dict[str, Any]:
        """Mean losses so far, which ``agm`` compares with."""
        return {"means": dict(self._means), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what ``state_dict`` gave."""
        self._means, self._steps = dict(state["means"]), state["steps"]

    def before_train(self, runner: Any) -> None:
        """Listen to the model's batches, its features and its gradients.

        Raises:
            ConfigError: a model that fuses no streams, or has no such head.
        """
        model = runner.bare_model
        if not isinstance(model, MultiModalRecognizer) or len(model.encoders) < 2:
            raise ConfigError(
                "BalanceStreamsHook needs a MultiModalRecognizer that fuses two streams"
                f" or more; got {type(model).__name__}"
            )
        if self.task not in model.heads:
            raise ConfigError(
                f"BalanceStreamsHook has task={self.task!r}; the heads are"
                f" {[*model.heads]}"
            )
        seen: Callable = partial(self._see_batch, model)
        self._handles = [
            model.register_forward_pre_hook(seen, with_kwargs=True),
            model.stand_ins.register_forward_pre_hook(partial(self._answer, model)),
        ]
        for name, encoder in model.encoders.items():
            for parameter in encoder.parameters():
                if parameter.requires_grad:
                    scale = partial(self._scale, name)
                    self._handles.append(parameter.register_hook(scale))

    def before_train_epoch(self, runner: Any) -> None:
        """Begin, or end after the last epoch that has it."""
        self._is_on = self.end_epoch is None or runner.epoch < self.end_epoch
        self.coefficients = {}

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Hand the coefficients to the loggers."""
        for name, value in self.coefficients.items():
            runner.message_hub.update_scalar(f"train/balance_{name}", value)

    def before_val_epoch(self, runner: Any) -> None:
        """Leave validation alone."""
        self._is_on = False

    def after_train(self, runner: Any) -> None:
        """Stop listening."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _see_batch(
        self, model: MultiModalRecognizer, module: Any, args: tuple, named: dict
    ) -> None:
        """Keep the labels of a batch of training and its number of rows."""
        given = (
            dict(zip(("inputs", "data_samples", "mode"), args, strict=False)) | named
        )
        self._batch = {}
        if self._is_on and given.get("mode") == "loss":
            views = max(given["inputs"][name].shape[1] for name in model.encoders)
            labels = _labels(given["data_samples"], self.task)
            labels = labels.repeat_interleave(views)  # (b v,)
            self._batch = {"labels": labels, "rows": len(labels)}

    def _answer(self, model: MultiModalRecognizer, module: Any, args: tuple) -> None:
        """Answer with each stream alone, from the features on their way to the neck."""
        if self._is_busy or not self._batch:
            return
        self._is_busy = True
        parts = [model.stand_ins, model.neck, *model.heads.values()]
        modes = {m: m.training for part in parts for m in part.modules()}
        try:
            for part in parts:
                part.eval()
            with torch.no_grad():
                self._update(model, args[0])
        finally:
            for module, training in modes.items():  # what is frozen stays as it was
                module.training = training
            self._is_busy, self._batch = False, {}

    def _update(self, model: MultiModalRecognizer, feats: Features) -> None:
        """Set the coefficients of this step."""
        streams, rows = tuple(feats), self._batch["rows"]
        sizes = range(1, len(streams) + 1) if self.method == "agm" else (1,)
        logits: dict[Kept, Tensor] = {
            kept: model.classify(keep_streams(feats, kept), rows)[self.task]
            for size in sizes
            for kept in combinations(streams, size)
        }
        given = self._batch["labels"].to(logits[streams[:1]].device)
        labels = given.clamp(min=0)
        if self.method == "agm":
            shares = shapley_values(logits)
            values = {name: label_loss(shares[name], labels) for name in streams}
        else:
            values = {n: own_probability(logits[(n,)], labels) for n in streams}
        means = _means_of_present(values, feats, given >= 0)
        if means is None:  # a stream that no labelled sample of the batch has
            self.coefficients = dict.fromkeys(streams, 1.0)
            return
        if self.method != "agm":
            self.coefficients = ogm_coefficients(means, self.alpha)
            return
        before = self._means or dict.fromkeys(streams, 0.0)
        self.coefficients = agm_coefficients(means, before, self.alpha)
        self._steps += 1
        self._means = {
            n: before[n] + (means[n] - before[n]) / self._steps for n in streams
        }

    def _scale(self, name: str, grad: Tensor) -> Tensor:
        """A parameter's gradient, scaled, and with noise."""
        if name not in self.coefficients or not self._is_on:
            return grad
        scaled = grad * self.coefficients[name]
        if self.method == "ogm_ge" and grad.ndim > 1:
            scaled = scaled + torch.randn_like(grad) * grad.std()
        return scaled


def _labels(samples: list[ActionDataSample], task: str) -> Tensor:
    """(b,) int64, -1 where a sample has no label.

    Raises:
        ConfigError: labels of moments.
    """
    labels = [sample.get(f"gt_{task}") for sample in samples]
    if any(label is not None and label.ndim for label in labels):
        raise ConfigError(
            f"BalanceStreamsHook has task={task!r}, which has a label for each moment;"
            " expected one a clip"
        )
    return torch.tensor([-1 if label is None else int(label) for label in labels])


def _means_of_present(
    values: Mapping[str, Tensor], feats: Features, labelled: Tensor
) -> dict[str, float] | None:
    """Mean of (b v,) values over labelled samples with the stream, in all processes."""
    found = {}
    for name, value in values.items():
        present = feats[name].present
        here = torch.ones_like(value) if present is None else present.to(value.dtype)
        here = here.unflatten(0, (len(value), -1))[:, 0]  # of several questions one
        here = here * labelled
        total = torch.stack([(value * here).sum(), here.sum()])
        all_reduce(total)
        if not total[1]:
            return None
        found[name] = float(total[0] / total[1])
    return found
