"""Learning rates that fall from the head to the patches of a video encoder."""

import re
from collections.abc import Iterable

from mmfusion.utils.errors import ConfigError

FORMS = ("published", "intended")
_ENCODER = "encoders.video."
_BLOCK = re.compile(r"^(?:layers|blocks|transformer\.resblocks)\.(\d+)\.")
# what comes before the first block; a temporal table starts from zero in image weights
# and is not among them
_STEM = re.compile(
    r"^(?:cls_token|class_embedding|pos_embed|positional_embedding|mask_token"
    r"|patch_embed|patch_embed_3d|conv1|ln_pre)\b"
)


class LayerDecay:
    """Scales of the learning rate by depth, for the model's video encoder.

    With L blocks, the stem (patches, positions in a frame, CLS token) gets
    rate ** (L + 1), block i gets rate ** (L - i), all else 1: that is ``intended``.
    ``published`` is what VideoMamba's released code does, whose line for its blocks is
    commented out: the stem gets rate ** (L + 1), which nearly freezes it, and the
    blocks get 1 as all else does.

    Args:
        rate: of one layer, above 0 and at most 1.
        form: ``published`` or ``intended``.

    Raises:
        ConfigError: a rate or a form that is neither.

    Example:
        >>> names = ["cls_token", "layers.0.norm.weight", "layers.1.norm.weight"]
        >>> scales = LayerDecay(0.5, "intended").scales(
        ...     [f"encoders.video.{name}" for name in names]
        ... )
        >>> list(scales.values())
        [0.125, 0.25, 0.5]
    """

    def __init__(self, rate: float, form: str) -> None:
        is_number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if form not in FORMS or not is_number or not 0 < rate <= 1:
            raise ConfigError(
                f"optim_wrapper.paramwise_cfg.layer_decay has rate={rate!r},"
                f" form={form!r}; expected a rate above 0 and at most 1, and one of"
                f" {FORMS}"
            )
        self.rate, self.form = rate, form

    def scales(self, names: Iterable[str]) -> dict[str, float]:
        """The scale of each parameter by its full name.

        Raises:
            ConfigError: the model has no video encoder made of blocks.
        """
        names = list(names)
        blocks = {name: _BLOCK.match(name.removeprefix(_ENCODER)) for name in names}
        numbers = {
            name: int(found[1])
            for name, found in blocks.items()
            if found and name.startswith(_ENCODER)
        }
        if not numbers:
            raise ConfigError(
                "optim_wrapper.paramwise_cfg.layer_decay: the model has no parameter"
                f" {_ENCODER}layers.0..., blocks.0... or transformer.resblocks.0...;"
                " expected a video encoder made of blocks"
            )
        depth = max(numbers.values()) + 1
        return {name: self._scale(name, numbers.get(name), depth) for name in names}

    def _scale(self, name: str, block: int | None, depth: int) -> float:
        inside = name.removeprefix(_ENCODER)
        if inside != name and _STEM.match(inside):
            return self.rate ** (depth + 1)
        if block is None or self.form == "published":
            return 1.0
        return self.rate ** (depth - block)
