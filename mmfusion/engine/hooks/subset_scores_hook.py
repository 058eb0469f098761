"""Validation with streams taken away, beside that with all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmfusion.models import MultiModalRecognizer
from mmfusion.registry import HOOKS
from mmfusion.structures import keep_streams
from mmfusion.utils.errors import ConfigError

_MEAN = "subsets"


@HOOKS.register_module()
class SubsetScoresHook(Hook):
    """Measures each validation with subsets of the streams, too.

    A model that was trained with :class:`~mmfusion.datasets.transforms.DropStreams` may
    be right with all streams from early on, so that ``best.pth`` by ``action/top1``
    does not see how well one stream alone is read. This adds ``<metric>_of_<streams>``
    for each subset, as of clips that lack the others, and ``<metric>_of_subsets``, the
    mean over the subsets and all streams together: take
    ``default_hooks.checkpoint.save_best = "action/top1_of_subsets"``.

    The encoders read a batch of validation twice, whatever the number of subsets.

    Args:
        subsets: streams that are kept, such as ``[["video"], ["skeleton"]]``.

    Raises:
        ConfigError: no subset, or, when training begins, one of no stream, of all, or
            of a stream that the model does not read.
    """

    priority = "HIGHEST"  # the loggers, and what chooses best.pth, come after it

    def __init__(self, subsets: Sequence[Sequence[str]]) -> None:
        if not subsets:
            raise ConfigError("SubsetScoresHook has subsets=[]; expected one or more")
        self.subsets = tuple(tuple(kept) for kept in subsets)
        self._evaluators: dict[tuple[str, ...], Evaluator] = {}

    def before_train(self, runner: Any) -> None:
        """Compare the subsets with the model."""
        streams = set(_recognizer(runner).encoders)
        for kept in self.subsets:
            if not kept or not set(kept) < streams:
                raise ConfigError(
                    f"SubsetScoresHook has the subset {[*kept]}; expected some of"
                    f" {sorted(streams)}, not all"
                )

    def before_val_epoch(self, runner: Any) -> None:
        """Begin with metrics of their own."""
        self._evaluators = {}
        for kept in self.subsets:
            self._evaluators[kept] = runner.build_evaluator(runner.cfg.val_evaluator)
            self._evaluators[kept].dataset_meta = runner.val_evaluator.dataset_meta

    @torch.no_grad()
    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Answer a batch with each subset of the streams."""
        model = _recognizer(runner)
        data = model.data_preprocessor(data_batch, False)
        feats, views = model.encode(data["inputs"])
        for kept, evaluator in self._evaluators.items():
            samples = [sample.clone() for sample in data["data_samples"]]
            model.score(keep_streams(feats, kept), views, samples)
            evaluator.process(data_samples=samples, data_batch=data_batch)

    def after_val_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        """Add the numbers of the subsets, and their mean."""
        if metrics is None:
            return
        count = len(runner.val_dataloader.dataset)
        found = {kept: one.evaluate(count) for kept, one in self._evaluators.items()}
        metrics.update(subset_metrics(metrics, found))


def subset_metrics(
    whole: Mapping[str, Any], found: Mapping[tuple[str, ...], Mapping[str, Any]]
) -> dict[str, float]:
    """Numbers of each subset by name, and their mean with those of all streams.

    >>> found = subset_metrics({"top1": 100.0}, {("a",): {"top1": 70.0}})
    >>> found
    {'top1_of_a': 70.0, 'top1_of_subsets': 85.0}
    """
    added = {}
    for key, value in whole.items():
        values = [one[key] for one in found.values() if key in one]
        if not isinstance(value, float | int) or len(values) < len(found):
            continue
        for kept, one in found.items():
            added[f"{key}_of_{'_'.join(kept)}"] = float(one[key])
        added[f"{key}_of_{_MEAN}"] = (value + sum(values)) / (1 + len(values))
    return added


def _recognizer(runner: Any) -> MultiModalRecognizer:
    model = runner.model
    model = model.module if is_model_wrapper(model) else model
    if not isinstance(model, MultiModalRecognizer) or model.neck is None:
        raise ConfigError(
            "SubsetScoresHook expected a MultiModalRecognizer that fuses streams, got"
            f" {type(model).__name__}"
        )
    return model
