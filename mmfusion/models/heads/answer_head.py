"""AnswerHead: classes named by text, scored by how near the answer's words are.

Shapes: b rows, k classes, d channels of the fused vector, c of a text's embedding.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.registry import MODELS
from mmfusion.utils.errors import InputError

_START = math.log(1 / 0.07)  # CLIP's temperature
_MOST = math.log(100.0)


@MODELS.register_module()
class AnswerHead(BaseModule):
    """Project the fused vector to a text's embedding and compare it with the names'.

    The logit of a class is the cosine between the projection and the embedding of the
    class's name, times a learned scale. The classes are no parameters, so that after
    training :meth:`set_classes` may give others, which then are scored without having
    been trained (an extension: paper B classifies by linear heads).

    Args:
        class_names: k names, as they would answer the question ("cut", "olive oil"),
            or the path of a text file with one a line.
        in_dims: d. embedder: config of what maps k texts to (k, c), such as
            :class:`TextEmbedder` or :class:`HashedWords`; it is built when names are
            embedded and is no part of the model.
        drop_rate: dropout before the projection. loss: config; cross entropy if None.

    Raises:
        ValueError: no names, or one that comes twice.

    Example:
        >>> head = AnswerHead(["cut", "wash"], 8, embedder=dict(type="HashedWords"))
        >>> head.set_classes(["cut", "wash", "dry"])
        >>> head(torch.randn(2, 8)).shape
        torch.Size([2, 3])
    """

    class_embeddings: Tensor  # (k, c), of length 1

    def __init__(
        self,
        class_names: Sequence[str] | str,
        in_dims: int,
        *,
        embedder: dict,
        drop_rate: float = 0.0,
        loss: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embedder = dict(embedder)
        self.dropout = nn.Dropout(drop_rate)
        self.register_buffer("class_embeddings", torch.empty(0))
        self.class_names: tuple[str, ...] = ()
        self.set_classes(class_names)
        self.fc = nn.Linear(in_dims, self.class_embeddings.shape[1])
        nn.init.trunc_normal_(self.fc.weight, std=in_dims**-0.5)
        nn.init.zeros_(self.fc.bias)
        self.logit_scale = nn.Parameter(torch.tensor(_START))
        self.criterion = MODELS.build(loss or dict(type="CrossEntropyLoss"))

    @property
    def num_classes(self) -> int:
        """k."""
        return len(self.class_names)

    def set_classes(self, class_names: Sequence[str] | str) -> None:
        """Score these classes from now on; see ``class_names``.

        A checkpoint holds the embeddings of the names that it was trained with: load it
        before names are changed.

        Raises:
            ValueError: no names, or one that comes twice.
        """
        if isinstance(class_names, str):
            class_names = _read_names(class_names)
        names = tuple(class_names)
        if not all(names) or not names or len(set(names)) < len(names):
            raise InputError(f"class_names is {names}, expected names, each once")
        embeddings = F.normalize(MODELS.build(self.embedder)(names), dim=-1)  # (k, c)
        self.class_embeddings = embeddings.to(self.class_embeddings.device)
        self.class_names = names

    def forward(self, x: Tensor) -> Tensor:
        """(b, d) -> logits (b, k)."""
        answer = self.fc(self.dropout(x))  # (b, c)
        with torch.autocast(x.device.type, enabled=False):  # cosines lie close together
            answer = F.normalize(answer.to(self.class_embeddings.dtype), dim=-1)
            scale = self.logit_scale.clamp(max=_MOST).exp()
            return scale * answer @ self.class_embeddings.T

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Logits (b, k) and labels (b,), or soft ones (b, k) -> scalar."""
        return self.criterion(logits, target)


def _read_names(path: str) -> list[str]:
    """A name from each line of a file.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(
            f"class_names is {path!r}, which cannot be read: {error}; expected a text"
            " file, a name in each line"
        ) from None
