"""Write what a model says of every clip to a file."""

import os
from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmfusion.evaluation.predictions import (
    check_suffix,
    from_rows,
    prediction_row,
    save_predictions,
)
from mmfusion.registry import METRICS


@METRICS.register_module()
class DumpPredictions(BaseMetric):
    """Write ids, labels (where there are any) and scores to a JSON or NPZ file.

    Unlike MMEngine's ``DumpResults`` it writes no pickle; the format is that of
    :mod:`mmfusion.evaluation.predictions`.

    Args:
        out_file_path: ends with ``.json`` or ``.npz``; written whole or not at all.
        config: name of the config, for the file's metainfo.
        checkpoint: path of the checkpoint, for the file's metainfo.
        collect_device: where results of several processes meet, as in MMEngine.
    """

    default_prefix = ""  # None would make MMEngine warn

    def __init__(
        self,
        out_file_path: str | os.PathLike,
        *,
        config: str | None = None,
        checkpoint: str | None = None,
        collect_device: str = "cpu",
    ) -> None:
        super().__init__(collect_device)
        check_suffix(out_file_path)
        self.out_file_path = str(out_file_path)
        self.config = config
        self.checkpoint = checkpoint

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep id, labels and scores of a batch."""
        self.results.extend(prediction_row(sample) for sample in data_samples)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Write the file; there are no metrics."""
        metainfo = {
            "version": 1,
            "config": self.config,
            "checkpoint": self.checkpoint,
            "classes": (self.dataset_meta or {}).get("classes"),
            "num_samples": len(results),
        }
        save_predictions(self.out_file_path, from_rows(results, metainfo))
        print_log(
            f"predictions of {len(results)} samples: {self.out_file_path}", "current"
        )
        return {}
