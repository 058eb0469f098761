"""Write what a test predicted, sample by sample."""

import io
import json
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmfusion.engine.checkpoint import write_atomic, write_text_atomic
from mmfusion.engine.distributed import gather_json
from mmfusion.engine.errors import ConfigError
from mmfusion.registry import HOOKS

_MISSING = object()


@HOOKS.register_module()
class PredictionDumpHook(Hook):
    """Writes ids, labels and scores of a whole test set into one file, in its order.

    JSON: ``{"metainfo": {...}, "predictions": [{"id": str, "gt": {task: int}, "score":
    {task: [k floats]}}]}``. Npz: ``metainfo`` (JSON text), ``id`` (n,), ``gt_<task>``
    (n,) and ``score_<task>`` (n, k); a task without labels has no ``gt_``.

    Args:
        path: ends with ``.json`` or ``.npz``.
    """

    def __init__(self, path: str) -> None:
        if Path(path).suffix not in (".json", ".npz"):
            raise ConfigError(f"--dump {path}: expected a name in .json or .npz")
        self.path = Path(path)
        self._rows: list[dict[str, Any]] = []

    def before_test_epoch(self, runner: Any) -> None:
        """Begin with nothing."""
        self._rows = []

    def after_test_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Take the scores (k,) and labels of a batch."""
        self._rows += [_row(sample) for sample in outputs or []]

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
        meta = {**(getattr(dataset, "metainfo", None) or {}), "metrics": metrics or {}}
        meta["checkpoint"] = runner.cfg.get("load_from")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.suffix == ".json":
            content = {"metainfo": meta, "predictions": rows}
            write_text_atomic(self.path, json.dumps(content, default=float) + "\n")
        else:
            write_atomic(self.path, lambda file: file.write(_npz(meta, rows)))
        runner.logger.info(f"wrote {len(rows)} predictions to {self.path}")


def _row(sample: Any) -> dict[str, Any]:
    """One data sample as JSON holds it."""
    fields = sample.all_items()
    labels, scores = {}, {}
    for key, value in fields:
        if key.startswith("gt_"):
            labels[key[3:]] = int(value)
        elif key.startswith("score_"):
            scores[key[6:]] = value.float().tolist()
    return {"id": str(sample.get("sample_id")), "gt": labels, "score": scores}


def _npz(meta: dict[str, Any], rows: list[dict[str, Any]]) -> bytes:
    """The bytes of the ``.npz`` file."""
    arrays = {
        "metainfo": np.array(json.dumps(meta, default=float)),
        "id": np.array([row["id"] for row in rows]),
    }
    for kind, prefix in (("gt", "gt_"), ("score", "score_")):
        for task in rows[0][kind] if rows else ():
            values = [row[kind].get(task) for row in rows]
            if None not in values:
                arrays[prefix + task] = np.array(values)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
