"""CachedEncoder: tokens that a frozen encoder has made before, from a file.

Shapes: b clips, l tokens, d channels.
"""

from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.models.layers.hf_encoder import digest_of
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import CheckpointError, InputError


@MODELS.register_module()
class CachedEncoder(BaseModule):
    """Stand for a frozen encoder whose tokens ``LoadTokens`` reads.

    The encoder is built, so that the parts behind it begin with the same random
    weights, and its own weights are compared with those that made the tokens. A
    checkpoint holds what one with the encoder would, and goes with its config.

    Args:
        encoder: config of the encoder.
        folder: of the tokens, for errors.
        weights: sha256 of the state dict that made them, 64 hexadecimal digits.
        with_cls: whether the first token is the CLS token.

    Raises:
        CheckpointError: at ``init_weights``, or where a checkpoint is loaded: other
            weights.
    """

    def __init__(
        self,
        encoder: Mapping[str, Any],
        *,
        folder: str,
        weights: str,
        with_cls: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        live = MODELS.build(dict(encoder))
        self.embed_dims: int = live.embed_dims
        self.folder, self.weights, self.with_cls = folder, weights, with_cls
        self._live: list[nn.Module] = [live]  # no part of this module
        self._state: dict[str, Tensor] = {}
        self.register_state_dict_post_hook(_add_state)
        self.register_load_state_dict_pre_hook(_take_state)

    def init_weights(self) -> None:
        """Draw or load the encoder's weights, compare, and let go of it."""
        if self._live:
            live = self._live[0]
            live.init_weights()  # type: ignore[operator]
            self.take(live.state_dict())

    def take(self, state: Mapping[str, Tensor]) -> None:
        """Keep weights of the encoder for checkpoints.

        Raises:
            CheckpointError: they are others than those that made the tokens.
        """
        found = bytes(digest_of(state).tolist()).hex()
        if found != self.weights:
            raise CheckpointError(
                f"the features in {self.folder} are out of date: weights: they were"
                f" made with sha256 {self.weights[:16]}..., the encoder has"
                f" {found[:16]}...; make them again with tools/features.py --overwrite,"
                " or give the encoder the weights of then"
            )
        self._state = {key: value.detach().cpu() for key, value in state.items()}
        self._live.clear()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Tokens (b, l, d), and mask (b, l) or None, as the encoder would give them.

        Raises:
            ValueError: another width.
        """
        if x.ndim != 3 or x.shape[-1] != self.embed_dims:
            raise InputError(
                f"cached tokens have the shape {tuple(x.shape)}, expected"
                f" (b, l, {self.embed_dims}), as the encoder's embed_dims is"
                f" {self.embed_dims}"
            )
        if not self.with_cls:
            return TokenFeatures(x, None, mask)
        return TokenFeatures(x[:, 1:], x[:, 0], None if mask is None else mask[:, 1:])


def _add_state(
    module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any
) -> None:
    assert isinstance(module, CachedEncoder)
    # before the weights are known, their names, as a checkpoint has them
    own = module._live[0].state_dict() if module._live else module._state
    state.update({prefix + key: value for key, value in own.items()})


def _take_state(
    module: nn.Module, state: dict[str, Any], prefix: str, *others: Any
) -> None:
    assert isinstance(module, CachedEncoder)
    names = [key for key in state if key.startswith(prefix)]
    found = {key.removeprefix(prefix): state.pop(key) for key in names}
    if found and not any(value.is_meta for value in found.values()):
        module.take(found)
