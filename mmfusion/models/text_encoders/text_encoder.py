"""TextEncoder: any encoder of Hugging Face over the words of questions.

Shapes: b clips (times views), q questions of a clip, l tokens of a question, d
channels.
"""

import difflib
import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import CheckpointError, InputError, check_choice
from mmfusion.utils.hugging_face import import_transformers, load_local

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
class TextEncoder(BaseModule):
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
        summary: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("mode", mode, MODES)
        if summary is None:
            summary = "mean" if mode == "embeddings" else "first"
        check_choice("summary", summary, SUMMARIES)
        self.pretrained, self.revision = pretrained, revision
        self.mode, self.summary = mode, summary
        self.config = self._find_config(hf_config)
        self.embed_dims: int = self.config.hidden_size
        self.model: Any = self._build()
        self.num_positions = _num_positions(self.model)
        if mode != "tuned":
            self.model.requires_grad_(False)
        self._waits_for_weights = pretrained is not None
        self.register_load_state_dict_post_hook(_has_weights)

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

    def train(self, mode: bool = True) -> "TextEncoder":
        """A frozen encoder stays in evaluation mode: no dropout."""
        super().train(mode)
        if self.mode == "frozen":
            self.model.eval()
        return self

    def init_weights(self) -> None:
        """Load the weights of ``pretrained``, then those that ``init_cfg`` names.

        MMEngine would then call the ``init_weights`` that every model of Hugging Face
        has too, which must not touch what was loaded.
        """
        if self._waits_for_weights:
            self._load()
        self.model.is_init = True
        super().init_weights()

    def _find_config(self, hf_config: Mapping[str, Any] | None) -> Any:
        """The Hugging Face config of the architecture; embeddings need no layers."""
        if hf_config is None and self.pretrained in _ROBERTA_NAMES:
            hf_config = ROBERTA_BASE
        configs = import_transformers().AutoConfig
        if hf_config is not None:
            config = configs.for_model(**hf_config)
            _check_hf_keys(hf_config, type(config)().to_dict())
        elif self.pretrained is not None:
            config = load_local(configs, self.pretrained, self.revision)
        else:
            raise InputError("pretrained and hf_config are both None, expected one")
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

    def _load(self) -> None:
        """Copy the published weights; each tensor of the model must be among them."""
        model, report = load_local(
            import_transformers().AutoModel,
            str(self.pretrained),
            self.revision,
            config=self.config,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **self._options(),
        )
        lacking = sorted(report["missing_keys"]) + sorted(report["mismatched_keys"])
        if lacking:
            raise CheckpointError(
                f"{self.pretrained} does not fit {type(model).__name__}: it lacks, or"
                f" has in another shape, {lacking}; is hf_config its own?"
            )
        self.model.load_state_dict(self._part(model).state_dict())
        self._waits_for_weights = False
        MMLogger.get_current_instance().info(
            f"TextEncoder: {self.mode} weights loaded from {self.pretrained}"
        )

    def _check(self, x: Tensor, mask: Tensor | None) -> None:
        if self._waits_for_weights:
            raise CheckpointError(
                f"TextEncoder still has random weights: call init_weights() to load"
                f" {self.pretrained}, or load a checkpoint"
            )
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


def _has_weights(module: nn.Module, incompatible_keys: Any) -> None:
    """After a whole checkpoint was loaded, the weights are there."""
    if isinstance(module, TextEncoder) and not incompatible_keys.missing_keys:
        module._waits_for_weights = False


def _num_positions(model: nn.Module) -> int | None:
    """Greatest length of a question; None where positions are not a table.

    RoBERTa's table starts with the padding's index and what is before it.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - unused
    return None


def _check_hf_keys(given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse a key that is nearly one of the config's: transformers takes any.

    Keys like no other pass, as the files of a hub have some that nothing reads.
    """
    for key in given:
        close = difflib.get_close_matches(key, [*known], n=1, cutoff=0.8)
        if key not in known and close and close[0] not in given:
            raise InputError(f"hf_config has no key {key!r}; nearest: {close[0]}")
