"""A small split of generated clips whose transforms need no media."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmfusion.datasets.annotation import write_annotation
from mmfusion.registry import TRANSFORMS
from mmfusion.structures import ActionDataSample
from mmfusion.utils.errors import SkeletonError, VideoDecodeError

CLASSES = {"action": ["grab", "open", "close"], "verb": ["a", "b"]}
PIPELINE = [{"type": "DrawNumbers"}]


@TRANSFORMS.register_module()
class DrawNumbers:
    """Packs two numbers from each global generator; breaks for the ids it is told.

    Args:
        broken: ids for which it raises as a broken file would.
        wrong: ids for which it raises as a mistake in code would.
    """

    def __init__(self, broken: tuple = (), wrong: tuple = ()) -> None:
        self.broken, self.wrong = broken, wrong

    def __call__(self, results: dict) -> dict:
        name = results["sample_id"]
        if name in self.wrong:
            raise KeyError(name)
        if name in self.broken:
            error = SkeletonError if name.endswith("1") else VideoDecodeError
            raise error(f"{name}.mp4: damaged")
        drawn = [random.random(), random.random(), *np.random.rand(2), *torch.rand(2)]
        sample = ActionDataSample(metainfo={"sample_id": name})
        sample.gt_action = torch.tensor(results["label"].get("action", 0))
        video = torch.tensor(drawn, dtype=torch.float32)  # (6,)
        return {"inputs": {"video": video}, "data_samples": sample}


def make_record(number: int, **changes: Any) -> dict:
    """Record ``clip<number>``, a second of ``v<number>.mp4``."""
    record = {
        "id": f"clip{number}",
        "group": f"group{number}",
        "split": "train",
        "video": f"v{number}.mp4",
        "start_sec": 0.0,
        "end_sec": 1.0,
        "label": {"action": number % 3, "verb": number % 2},
    }
    return {**record, **changes}


def write_clips(folder: Path, records: list[dict] | int) -> str:
    """Write an annotation of the records, or of so many; its path."""
    if isinstance(records, int):
        records = [make_record(number) for number in range(records)]
    path = folder / "annotation.json"
    metainfo = {"version": 1, "dataset": "numbers", "classes": CLASSES}
    write_annotation(path, metainfo, records)
    return str(path)
