"""TextEncoder: any encoder of Hugging Face over the words of questions.

Shapes: b clips (times views), q questions of a clip, l tokens of a question, d
channels.
"""

import inspect
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from mmfusion.models.layers.hf_encoder import HFEncoder, find_config, read_model
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError, check_choice
from mmfusion.utils.hugging_face import import_transformers

MODES = ("frozen", "tuned", "embeddings")
SUMMARIES = ("first", "pooler", "mean")
# its config.json, so that the model is built without any file
ROBERTA_BASE: Mapping[str, Any] = MappingProxyType(
    dict(
        model_type="roberta",
        vocab_size=50265,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
)
_ROBERTA_NAMES = ("roberta-base", "FacebookAI/roberta-base")


@MODELS.register_module()
class TextEncoder(HFEncoder):
    """Encode questions by an encoder of Hugging Face (paper B, section 3.2).

    The paper names RoBERTa. Its released code reads RoBERTa's input embeddings only
    and, by an oversight, overwrites the loaded weights: here they are kept. They are
    loaded by ``init_weights``, which the runner calls; an encoder that is used before
    it has its weights raises.

    Args:
        pretrained: a folder that ``save_pretrained`` wrote or a name on the hub, whose
            files are in the local cache; None starts from random weights.
        hf_config: the architecture as keys of a Hugging Face config, ``model_type``
            among them; by default that of ``pretrained``.
        revision: commit, tag or branch of ``pretrained`` on the hub.
        mode: ``frozen`` and ``tuned`` run the whole encoder, without or with training
            it; ``embeddings`` has the embedding layer only (word, position, type, norm
            and dropout), frozen, as the release does. Dropout acts while training,
            except in ``frozen``.
        tuning: config of what ``tuned`` trains, :class:`LastBlocks` or :class:`LoRA`;
            None trains all. With ``pretrained``, a checkpoint leaves out the rest, see
            :class:`HFEncoder`.
        summary: what the CLS token is: ``first`` token, the ``pooler``'s output, or
            None (``mean``), for which the mean over real tokens stands. By default
            ``first``, and ``mean`` for ``embeddings``, whose first token says nothing.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads a checkpoint of ours
            after ``pretrained``.

    Raises:
        ValueError: an unknown mode or summary, no architecture, or an encoder that has
            no pooler or no embeddings where they are asked for.
        OSError: ``pretrained`` is not here; the message has the command to fetch it.

    Example:
        >>> import torch
        >>> tiny = dict(
        ...     model_type="roberta", vocab_size=50, hidden_size=16,
        ...     num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
        >>> model = TextEncoder(None, hf_config=tiny, mode="tuned")
        >>> model(torch.randint(3, 50, (2, 1, 7))).tokens.shape  # and the first is cls
        torch.Size([2, 6, 16])
    """

    def __init__(
        self,
        pretrained: str | None = "FacebookAI/roberta-base",
        *,
        hf_config: Mapping[str, Any] | None = None,
        revision: str | None = None,
        mode: str = "frozen",
        tuning: Mapping[str, Any] | None = None,
        summary: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(pretrained, revision, init_cfg)
        check_choice("mode", mode, MODES)
        if summary is None:
            summary = "mean" if mode == "embeddings" else "first"
        check_choice("summary", summary, SUMMARIES)
        self.mode, self.summary = mode, summary
        self.config = self._find_config(hf_config)
        self.embed_dims: int = self.config.hidden_size
        model = self._build()
        self.num_positions = _num_positions(model)
        self.hold(model, mode=mode, tuning=tuning, slim=tuning is not None)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode questions.

        Args:
            x: (b, q, l) int64, token ids. mask: (b, q, l) bool, False for padding,
                which nothing reads; None means that all are real. A question without
                any real token is a missing one.

        Returns:
            tokens (b q, l', d), cls (b q, d) or None, mask (b q, l') or None, the
            questions of a clip one after the other; l' is l, or l - 1 where the first
            token is the CLS token.

        Raises:
            ValueError: another shape, more tokens than positions, or an id beyond the
                vocabulary.
            RuntimeError: the weights of ``pretrained`` were not loaded.
        """
        self._check(x, mask)
        x = x.flatten(0, 1)  # (b q, l)
        mask = None if mask is None else mask.flatten(0, 1)
        try:
            tokens, pooled = self._run(x, mask)  # (b q, l, d), (b q, d) or None
        except IndexError as error:
            raise InputError(
                f"text has token ids up to {int(x.max())}, expected 0.."
                f"{self.config.vocab_size - 1}: the tokenizer is not this encoder's"
            ) from error
        if self.summary == "first":
            rest = None if mask is None else mask[:, 1:]
            return TokenFeatures(tokens[:, 1:], tokens[:, 0], rest)
        return TokenFeatures(tokens, pooled, mask)

    def _find_config(self, hf_config: Mapping[str, Any] | None) -> Any:
        """The Hugging Face config of the architecture; embeddings need no layers."""
        if hf_config is None and self.pretrained in _ROBERTA_NAMES:
            hf_config = ROBERTA_BASE
        config = find_config(self.pretrained, self.revision, hf_config)
        if self.mode == "embeddings":
            config.num_hidden_layers = 0
        return config

    def _options(self) -> dict[str, bool]:
        """An unused pooler would be a part without gradients."""
        mapping = import_transformers().AutoModel._model_mapping
        arguments = inspect.signature(mapping[type(self.config)].__init__).parameters
        if "add_pooling_layer" in arguments:
            return {"add_pooling_layer": self.summary == "pooler"}
        if self.summary == "pooler":
            raise InputError(f"a {self.config.model_type} encoder has no pooler")
        return {}

    def _build(self) -> nn.Module:
        """The encoder with random weights, or its embedding layer alone."""
        if self.mode == "embeddings" and self.summary == "pooler":
            raise InputError("summary='pooler' needs the encoder, not its embeddings")
        kind = import_transformers().AutoModel
        return self._part(kind.from_config(self.config, **self._options()))

    def _part(self, model: Any) -> Any:
        """Part of the whole encoder that is kept."""
        if self.mode != "embeddings":
            return model
        if not hasattr(model, "embeddings"):
            raise InputError(
                f"a {self.config.model_type} encoder has no part named embeddings;"
                " expected mode 'frozen' or 'tuned'"
            )
        return model.embeddings

    def read_pretrained(self) -> tuple[nn.Module, Collection[str]]:
        """The published encoder, or its embedding layer alone."""
        kind = import_transformers().AutoModel
        options = {**self._options(), "config": self.config}
        source = str(self.pretrained)
        model, lacking = read_model(kind, source, self.revision, options)
        return self._part(model), lacking

    def _check(self, x: Tensor, mask: Tensor | None) -> None:
        self.check_has_weights()
        if x.dim() != 3 or x.dtype != torch.int64:
            raise InputError(
                f"text is {x.dtype} {tuple(x.shape)}, expected int64 (b, q, l)"
            )
        if mask is not None and mask.shape != x.shape:
            raise InputError(
                f"text_mask has shape {tuple(mask.shape)}, expected {tuple(x.shape)}"
            )
        if self.num_positions is not None and x.shape[-1] > self.num_positions:
            raise InputError(
                f"text has {x.shape[-1]} tokens a question, expected at most"
                f" {self.num_positions}, the encoder's positions"
            )

    def _run(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(r, l) ids and mask -> (r, l, d), and (r, d) of the pooler or None."""
        if self.mode == "embeddings":
            return self.model(x), None
        if mask is not None:
            mask = mask.clone()
            mask[:, 0] |= ~mask.any(1)  # attention over nothing is not defined
            mask = mask.long()
        out = self.model(input_ids=x, attention_mask=mask)
        pooled = out.pooler_output if self.summary == "pooler" else None
        return out.last_hidden_state, pooled


def _num_positions(model: nn.Module) -> int | None:
    """Greatest length of a question; None where positions are not a table.

    RoBERTa's table starts with the padding's index and what is before it.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - unused
    return None
