"""One vector for a text: what class names become for :class:`AnswerHead`.

Shapes: k texts, l tokens, d channels.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from mmfusion.registry import MODELS
from mmfusion.utils.hugging_face import load_tokenizer


@MODELS.register_module()
class TextEmbedder:
    """The mean over the tokens that an encoder of Hugging Face gives for a text.

    Args:
        pretrained, revision: of :class:`TextEncoder`; the tokenizer is of the same
            source, which is on this machine. The encoder is built for one call and
            dropped, so that no model carries it along.

    Raises:
        OSError: ``pretrained`` is not here; the message has the command to fetch it.
    """

    def __init__(
        self, pretrained: str = "FacebookAI/roberta-base", revision: str | None = None
    ) -> None:
        self.pretrained, self.revision = pretrained, revision

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Tensor:
        """k texts -> (k, d) float32 on the CPU."""
        encoder = MODELS.build(
            dict(
                type="mmfusion.TextEncoder",
                pretrained=self.pretrained,
                revision=self.revision,
                summary="mean",
            )
        )
        encoder.init_weights()
        tokenizer = load_tokenizer(self.pretrained, self.revision)
        batch = tokenizer(list(texts), padding=True, return_tensors="pt")
        mask = batch["attention_mask"].bool().unsqueeze(1)  # (k, 1, l)
        return encoder.eval()(batch["input_ids"].unsqueeze(1), mask).summary


@MODELS.register_module()
class HashedWords:
    """A vector of signs for each word, drawn by a hash, summed over a text's words.

    It needs no files: names that share words are near each other, others are not. For
    CPUs and tests.

    Args:
        dims: d. It is to be large beside the number of words.
    """

    def __init__(self, dims: int = 256) -> None:
        self.dims = dims

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """k texts -> (k, d) float32."""
        return torch.stack([self._text(text) for text in texts])

    def _text(self, text: str) -> Tensor:
        words = text.lower().split()
        return torch.stack([self._word(word) for word in words or [""]]).sum(0)

    def _word(self, word: str) -> Tensor:
        """(d,) of -1 and 1, a function of the word alone."""
        digest = hashlib.shake_128(word.encode()).digest(self.dims)
        return torch.tensor([1.0 if byte & 1 else -1.0 for byte in digest])
