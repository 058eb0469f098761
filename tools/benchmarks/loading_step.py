"""Share of a training step that waits for its batch, or that its transforms take."""

import statistics
import time
from collections.abc import Mapping
from typing import Any

from features import Training
from mmengine.registry import DefaultScope


def step_of(
    config: str, options: Mapping[str, Any], steps: int, workers: int
) -> dict[str, Any]:
    """Train by a config and look at its parts.

    Returns:
        ``step`` seconds, waiting included, and ``waiting``, its share that the loader
        takes (medians, the first two steps left out); ``transforms`` CPU seconds of
        one clip, by name in ``by_transform``; ``share`` of these in the CPU time of a
        batch's transforms and its step together.
    """
    training = Training(config, dict(options), workers)
    waits, works, busy = [], [], []
    for _ in range(steps + 2):
        begin = time.perf_counter()
        batch = next(training.batches)
        middle, spent = time.perf_counter(), time.process_time()
        losses = training.model.train_step(batch, training.optimizer)
        float(losses["loss"].detach())
        waits.append(middle - begin)
        works.append(time.perf_counter() - middle)
        busy.append(time.process_time() - spent)
    by_transform = _transforms(training)
    wait, work, spent = (statistics.median(x[2:]) for x in (waits, works, busy))
    each = sum(by_transform.values())
    return dict(
        step=wait + work,
        waiting=wait / (wait + work),
        batch=training.batch,
        workers=workers,
        steps=steps,
        transforms=each,
        by_transform=by_transform,
        share=training.batch * each / (training.batch * each + spent),
    )


def _transforms(training: Training, clips: int = 12) -> dict[str, float]:
    """Median CPU seconds of each transform of the pipeline, for one clip."""
    dataset = training.loader.dataset
    took: dict[str, list[float]] = {}
    with DefaultScope.overwrite_default_scope("mmfusion"):
        for number in range(min(clips, len(dataset))):
            results = dataset._start(number)
            for place, transform in enumerate(dataset.pipeline):
                begin = time.process_time()
                results = transform(results)
                name = f"{place} {type(transform).__name__}"
                took.setdefault(name, []).append(time.process_time() - begin)
    return {name: statistics.median(values) for name, values in took.items()}
