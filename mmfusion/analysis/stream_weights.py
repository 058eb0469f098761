"""Weights that a model gives its streams, clip by clip."""

from collections.abc import Sequence
from typing import Any

import torch

from mmfusion.analysis.trained_runs import TrainedRun, read_scalars
from mmfusion.datasets import fusion_collate
from mmfusion.engine.launch.config_data import without_training
from mmfusion.registry import MODELS
from mmfusion.weights import Pretrained

_PREFIX = "alpha_"  # of what a mix logs
WeightsByClip = dict[str, dict[str, float]]


def weights_by_clip(run: TrainedRun, most: int = 200) -> WeightsByClip:
    """Percent of each stream, by clip; empty for a model that weighs no streams.

    Args:
        run: whose model reads its own test clips, one at a time.
        most: clips at most, the first of them.
    """
    logged = {key for record in read_scalars(run.folder) for key in record}
    if len(run.streams) < 2 or not any(key.startswith(_PREFIX) for key in logged):
        return {}
    model: Any = MODELS.build(without_training(run.config.model))
    pipeline = run.config.test_dataloader.dataset.get("pipeline") or ()
    dataset = run.dataset("test_dataloader", pipeline)
    if dataset is None:
        return {}
    Pretrained(str(run.checkpoint))(model)
    model.eval()
    found: WeightsByClip = {}
    for index in range(min(len(dataset), most)):
        with torch.inference_mode():
            model.test_step(fusion_collate([dataset[index]]))
        own = {
            name.removeprefix(_PREFIX): 100.0 * value
            for name, value in model.logged_scalars().items()
            if name.startswith(_PREFIX)
        }
        if not own:
            return {}
        found[dataset.get_record(index)["id"]] = own
    return found


def same_everywhere(weights: WeightsByClip) -> bool:
    """True for weights that are those of the model, whatever the clip."""
    first: Sequence[float] = tuple(next(iter(weights.values()), {}).values())
    return all(
        max(abs(a - b) for a, b in zip(first, one.values(), strict=True)) < 1e-3
        for one in weights.values()
    )
