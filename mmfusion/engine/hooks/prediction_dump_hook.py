"""Write what a test predicted, sample by sample."""

from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmfusion.engine.protocols import DescribesData
from mmfusion.engine.runner.distributed import gather_json
from mmfusion.evaluation.predictions import (
    from_rows,
    load_predictions,
    prediction_row,
    save_predictions,
)
from mmfusion.evaluation.report import report_of
from mmfusion.registry import HOOKS
from mmfusion.utils.errors import ConfigError, InputError

_MISSING = object()


@HOOKS.register_module()
class PredictionDumpHook(Hook):
    """Writes ids, labels and scores of a whole test set into one file, in its order.

    The two formats are those of :mod:`mmfusion.evaluation.predictions`. The metainfo
    has the metrics, the checkpoint, and in ``report`` what :func:`report_of` finds.

    Args:
        path: ends with ``.json`` or ``.npz``.
    """

    def __init__(self, path: str) -> None:
        if Path(path).suffix not in (".json", ".npz"):
            raise ConfigError(f"--dump {path}: expected a name in .json or .npz")
        self.path = Path(path)
        self._rows: list[dict[str, Any]] = []

    def before_test(self, runner: Any) -> None:
        """Refuse to replace what no test of this checkpoint wrote, before it runs."""
        if not (is_main_process() and self.path.exists()):
            return
        try:
            tested = load_predictions(self.path).metainfo.get("checkpoint")
        except InputError:
            tested = None
        if tested is None or tested != runner.cfg.get("load_from"):
            what = "not a file of predictions" if tested is None else f"of {tested}"
            raise ConfigError(
                f"--dump {self.path}: the file is there and {what}; it is not replaced."
                " Give another name, or move it away"
            )

    def before_test_epoch(self, runner: Any) -> None:
        """Begin with nothing."""
        self._rows = []

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Take the scores (k,) and labels of a batch."""
        for sample in outputs or []:
            row = prediction_row(dict(sample.all_items()))
            row["score"] = {t: v.tolist() for t, v in row["score"].items()}
            self._rows.append(row)

    def after_test_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        """Put the ranks' samples together and write the file."""
        parts = gather_json(self._rows)
        if not is_main_process():
            return
        # rank r has every w-th sample from the r-th; repeated ones are at the end
        mixed = chain.from_iterable(zip_longest(*parts, fillvalue=_MISSING))
        dataset = runner.test_dataloader.dataset
        rows = [row for row in mixed if row is not _MISSING][: len(dataset)]
        known = dataset.metainfo if isinstance(dataset, DescribesData) else None
        meta = {**(known or {}), "metrics": metrics or {}}
        meta["checkpoint"] = runner.cfg.get("load_from")
        for row in rows:
            row["score"] = {t: np.float32(v) for t, v in row["score"].items()}
        found = from_rows(rows, meta)
        found.metainfo["report"] = report_of(found)
        save_predictions(self.path, found)
        runner.logger.info(f"wrote {len(rows)} predictions to {self.path}")
