"""ActionHead: one class for each pair of verb and noun.

Shapes: b rows, k actions, v verbs, n nouns.
"""

import csv
from collections.abc import Sequence

import torch
from torch import Tensor

from mmfusion.models.heads.classification_head import ClassificationHead
from mmfusion.registry import MODELS
from mmfusion.utils.errors import InputError


@MODELS.register_module()
class ActionHead(ClassificationHead):
    """Classify actions, and sum their probabilities to those of verbs and nouns.

    This is AVION's head for EPIC-KITCHENS-100, with 3,806 actions. Where the model has
    no head for verbs or nouns, their scores are the sums over the actions that have
    that verb or noun.

    Args:
        pairs: (k, 2), verb and noun of each action; or the path of a CSV file with the
            columns ``verb`` and ``noun``, one row an action, in the order of ``id``
            where it has that column.
        in_dims: d, width of the fused vector.
        num_verbs, num_nouns: v and n; those that occur if None.
        drop_rate, loss: as :class:`ClassificationHead`.

    Raises:
        ValueError: pairs of another form, beyond v or n, or one that comes twice.

    Example:
        >>> head = ActionHead([(0, 0), (0, 1), (1, 1)], in_dims=4)
        >>> head.marginals(torch.tensor([[0.5, 0.25, 0.25]]))["verb"].tolist()
        [[0.75, 0.25]]
    """

    def __init__(
        self,
        pairs: Sequence[Sequence[int]] | str,
        in_dims: int,
        *,
        num_verbs: int | None = None,
        num_nouns: int | None = None,
        drop_rate: float = 0.0,
        loss: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        rows = read_pairs(pairs) if isinstance(pairs, str) else pairs
        table = torch.as_tensor(rows, device="cpu")  # its content, whatever the device
        if table.dim() != 2 or table.shape[1] != 2 or table.is_floating_point():
            raise InputError(
                f"pairs is {table.dtype} {tuple(table.shape)}, expected whole numbers"
                " (k, 2), verb and noun of each action"
            )
        if len(table.unique(dim=0)) != len(table):
            raise InputError("pairs has the same verb and noun twice")
        super().__init__(
            len(table), in_dims, drop_rate=drop_rate, loss=loss, init_cfg=init_cfg
        )
        most = (table.amax(0) + 1).tolist()
        self.counts = {"verb": num_verbs or most[0], "noun": num_nouns or most[1]}
        if table.min() < 0 or most > list(self.counts.values()):
            raise InputError(
                f"pairs reach from {int(table.min())} to verb {most[0] - 1}, noun"
                f" {most[1] - 1}, expected 0.. within {self.counts}"
            )
        self.register_buffer("pairs", table.long())

    def marginals(self, scores: Tensor) -> dict[str, Tensor]:
        """Probabilities (b, k) of actions -> ``verb`` (b, v) and ``noun`` (b, n)."""
        return {
            task: scores.new_zeros(len(scores), count).index_add_(1, index, scores)
            for (task, count), index in zip(
                self.counts.items(), self.pairs.unbind(1), strict=True
            )
        }


def read_pairs(path: str) -> list[tuple[int, int]]:
    """Verb and noun of each action of a CSV file, in the order of its ``id``s.

    Raises:
        ValueError: no such file, a column is not there, or ids that are not 0, 1, 2...
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(
            f"pairs is {path!r}, which cannot be read: {error}; for EPIC-KITCHENS-100"
            " run tools/data/ek100/prepare.py, or give RULSTM's actions.csv"
        ) from None
    if not rows or not {"verb", "noun"} <= set(rows[0]):
        raise InputError(
            f"{path} has the columns {sorted(rows[0]) if rows else []}, expected verb"
            " and noun, and id where rows are not in order"
        )
    if "id" in rows[0]:
        rows.sort(key=lambda row: int(row["id"]))
        if [int(row["id"]) for row in rows] != list(range(len(rows))):
            raise InputError(f"{path}: expected the ids 0..{len(rows) - 1}, each once")
    return [(int(row["verb"]), int(row["noun"])) for row in rows]
