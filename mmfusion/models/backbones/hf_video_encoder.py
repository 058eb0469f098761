"""HFVideoEncoder: video models of transformers, and image models frame by frame.

Shapes: b clips, f frames, t times (f, or fewer where a patch has several frames), h w
pixels, p patches of a time, l = t p tokens, d channels.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from mmfusion.models.layers.clips import check_clip
from mmfusion.models.layers.hf_encoder import HFEncoder, find_config, read_model
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError, check_choice
from mmfusion.utils.hugging_face import import_transformers

MODES = ("frozen", "tuned")
IMAGE_FRAMES = 8  # of models of single images, which take any number


@dataclass(frozen=True)
class Family:
    """A kind of video model: how transformers builds it, and what it gives.

    Attributes:
        model: its class. config: key of its config in that of a larger model.
        part: of the model that is kept. options: of its class.
        first: modules that run before the blocks, but are registered behind them.
        frames: key of the number of frames; None of an image model.
        size: key of the side of a frame. any: keys that may differ from those that the
            weights were trained with, as no weight depends on them.
        leading: tokens before the patches, the CLS token first; or the key of the
            config that has the number of those behind the CLS token.
        pooled: whether the CLS token is the pooled output, which has a norm of its own.
        by_place: whether tokens are ordered by place, then time.
        by_frame: whether it reads frames as images, (b f, 3, h, w).
        layers: that LoRA adapts: queries and values of the attention.
        renames: patterns of keys of published files that this version of transformers
            does not know, and what replaces them. zeros: pattern of keys that such
            files do not have, as they stand for zeros.
    """

    model: str
    config: str = ""
    part: str = ""
    first: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    frames: str | None = "num_frames"
    size: str = "image_size"
    any: tuple[str, ...] = ()
    leading: int | str = 0
    pooled: bool = False
    by_place: bool = False
    by_frame: bool = False
    layers: tuple[str, ...] = ("q_proj", "v_proj")
    renames: Mapping[str, str] = field(default_factory=dict)
    zeros: str = r"(?!)"


# X-CLIP's tower of frames, which exchange messages
_XCLIP_VISION = Family(
    "XCLIPVisionModel",
    first=("embeddings", "pre_layernorm"),
    any=("num_frames",),
    leading=1,
    pooled=True,
    by_frame=True,
    renames={r"^vision_model\.": ""},
)
# by model_type of a config of transformers
FAMILIES: Mapping[str, Family] = {
    "timesformer": Family(
        "TimesformerModel", leading=1, by_place=True, layers=("qkv",)
    ),
    "videomae": Family(
        "VideoMAEModel",
        any=("num_frames",),
        layers=("query", "value"),
        # without these, 5.17 loads published files with all biases zero
        # (huggingface/transformers#48675)
        renames={
            r"attention\.q_bias$": "attention.query.bias",
            r"attention\.v_bias$": "attention.value.bias",
        },
        zeros=r"attention\.key\.bias$",  # BEiT's attention has none
    ),
    "vivit": Family("VivitModel", leading=1, options=dict(add_pooling_layer=False)),
    "vjepa2": Family(
        "VJEPA2Model",
        part="encoder",
        frames="frames_per_clip",
        size="crop_size",
        any=("frames_per_clip", "crop_size"),
        layers=("query", "value"),
    ),
    "videoprism_vision_model": Family("VideoPrismVisionModel"),
    "dinov3_vit": Family(
        "DINOv3ViTModel",
        frames=None,
        any=("image_size",),
        leading="num_register_tokens",
        by_frame=True,
    ),
    "hiera": Family(
        "HieraModel",
        options=dict(add_pooling_layer=False),
        frames=None,
        by_frame=True,
        layers=("qkv",),
    ),
    "xclip": replace(_XCLIP_VISION, config="vision_config"),  # and a model of texts
    "xclip_vision_model": _XCLIP_VISION,
}


@MODELS.register_module()
class HFVideoEncoder(HFEncoder):
    """Read clips by a video model of transformers: VideoMAE, V-JEPA 2 and others.

    The models are those of ``FAMILIES``: TimeSformer, VideoMAE, ViViT, V-JEPA 2,
    VideoPrism, X-CLIP, and DINOv3 and Hiera frame by frame. Tokens are the last hidden
    state as transformers gives it, ordered by time, then place; a VideoMAE that pools
    by the mean, Hiera and X-CLIP give it without a norm. The pixels are those of its
    processor: ``None`` in a config takes size, frames, mean and deviation from the
    checkpoint's files.

    Args:
        pretrained: a folder that ``save_pretrained`` wrote or a name on the hub, whose
            files are in the local cache; None starts from random weights.
        hf_config: the architecture as keys of a Hugging Face config, ``model_type``
            among them; by default that of ``pretrained``.
        revision: commit, tag or branch of ``pretrained`` on the hub.
        mode: ``frozen`` or ``tuned``. With ``pretrained``, a checkpoint of the run
            leaves out what is not trained, see :class:`HFEncoder`.
        tuning: config of what ``tuned`` trains, :class:`LastBlocks` or :class:`LoRA`;
            None trains all.
        num_frames, img_size, embed_dims: f, the side of a frame in pixels and d, by
            default the model's. A model whose weights do not depend on the first two
            takes others.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads a checkpoint of ours
            after ``pretrained``.

    Raises:
        ValueError: an unknown mode, no architecture, one that is not in ``FAMILIES``,
            or sizes that the model does not have.
        OSError: ``pretrained`` is not here; the message has the command to fetch it.

    Example:
        >>> import torch
        >>> tiny = dict(
        ...     model_type="videomae", image_size=32, num_frames=4, hidden_size=16,
        ...     num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
        >>> model = HFVideoEncoder(None, hf_config=tiny)
        >>> model(torch.randn(2, 3, 4, 32, 32)).tokens.shape
        torch.Size([2, 8, 16])
    """

    def __init__(
        self,
        pretrained: str | None,
        *,
        hf_config: Mapping[str, Any] | None = None,
        revision: str | None = None,
        mode: str = "frozen",
        tuning: Mapping[str, Any] | None = None,
        num_frames: int | None = None,
        img_size: int | None = None,
        embed_dims: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(pretrained, revision, init_cfg)
        check_choice("mode", mode, MODES)
        self.family, self.config = find_family(pretrained, revision, hf_config)
        told = sizes_told(self.family, self.config)
        given = dict(num_frames=num_frames, img_size=img_size, embed_dims=embed_dims)
        sizes = self._sizes(told, given)
        self.embed_dims: int = sizes["embed_dims"]
        side = sizes["img_size"]
        self.input_shape = (3, sizes["num_frames"], side, side)
        self.tubelet = _first(getattr(self.config, "tubelet_size", 1))
        if sizes["num_frames"] % self.tubelet:
            raise InputError(
                f"num_frames is {sizes['num_frames']}, expected a multiple of"
                f" {self.tubelet}, the frames of a patch"
            )
        kind = getattr(import_transformers(), self.family.model)
        model = self._part(kind._from_config(self.config, **self.family.options))
        self.hold(model, mode=mode, tuning=tuning, slim=True)

    def adapted_layers(self) -> list[str]:
        """Queries and values of the attention, by the family's names."""
        return [*self.family.layers]

    def read_pretrained(self) -> tuple[nn.Module, Collection[str]]:
        """The published model, without its head."""
        family = self.family
        kind = getattr(import_transformers(), family.model)
        options = {**family.options, "config": self.config}
        if family.renames:
            options["key_mapping"] = dict(family.renames)
        source = str(self.pretrained)
        model, lacking = read_model(kind, source, self.revision, options)
        zeros = [key for key in lacking if re.search(family.zeros, key)]
        for key in zeros:
            model.get_parameter(key).data.zero_()
        start = f"{family.part}." if family.part else ""
        lacking = {key for key in lacking if key.startswith(start)} - {*zeros}
        return self._part(model), lacking

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode clips (b, 3, f, h, w), normalised, of the size given at the start.

        Args:
            x: of ``input_shape``. mask: (b, f) bool, False for a frame that is not
                there, or None; it travels with the tokens, the model does not read it.

        Returns:
            tokens (b, l, d), cls (b, d) or None, which is the mean over the frames that
            are there where the model reads frames one by one, and mask (b, l).

        Raises:
            ValueError: another shape.
            RuntimeError: the weights of ``pretrained`` were not loaded.
        """
        self.check_has_weights()
        check_clip(x, self.input_shape)
        times = x.shape[2] // self.tubelet
        if mask is not None:
            mask = mask.unflatten(1, (times, -1)).any(-1)  # (b, t)
        tokens, cls = self._run(x, mask)
        if mask is not None:
            mask = mask.repeat_interleave(tokens.shape[1] // times, dim=1)  # (b, l)
        return TokenFeatures(tokens, cls, mask)

    def _run(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Clips, mask (b, t) or None -> tokens (b, l, d), cls (b, d) or None."""
        batch, family = x.shape[0], self.family
        x = x.transpose(1, 2)  # (b, f, 3, h, w)
        if family.by_frame:
            x = x.flatten(0, 1)  # (b f, 3, h, w)
        result = self.model(x)
        out = result.last_hidden_state  # (b, n + l, d), or (b f, n + p, d)
        leading = family.leading
        if isinstance(leading, str):
            leading = 1 + getattr(self.config, leading)
        tokens, cls = out[:, leading:], out[:, 0] if leading else None
        if family.pooled:
            cls = result.pooler_output  # (b, d), or (b f, d)
        if family.by_frame:
            tokens = tokens.unflatten(0, (batch, -1)).flatten(1, 2)  # (b, f p, d)
            frames = None if cls is None else cls.unflatten(0, (batch, -1))  # (b, f, d)
            cls = None if frames is None else TokenFeatures(frames, mask=mask).summary
        if family.by_place:
            times = self.input_shape[1] // self.tubelet
            tokens = tokens.unflatten(1, (-1, times)).transpose(1, 2).flatten(1, 2)
        return tokens, cls

    def _part(self, model: Any) -> Any:
        """Part of the whole model that is kept, its modules in the order they run."""
        part = model.get_submodule(self.family.part)
        first = self.family.first
        for name, child in [*part.named_children()]:
            if first and name not in first:
                delattr(part, name)
                setattr(part, name, child)
        return part

    def _sizes(
        self, told: Mapping[str, int], given: Mapping[str, int | None]
    ) -> dict[str, int]:
        """The sizes that are given, else the model's; those that it takes go in it."""
        family = self.family
        keys = dict(num_frames=family.frames, img_size=family.size)
        for name, value in given.items():
            key = keys.get(name)
            free = key in family.any or (key is None and name == "num_frames")
            if value in (None, told[name]):
                continue
            if type(value) is not int or value < 1:
                raise InputError(f"{name} is {value!r}, expected 1 or more")
            if not free:
                raise InputError(
                    f"{name} is {value}, but a {self.config.model_type} of these"
                    f" weights has {told[name]}; leave {name} out (None)"
                )
            if key is not None:
                setattr(self.config, key, value)
        return {key: given[key] or told[key] for key in told}


def find_family(
    pretrained: str | None, revision: str | None, hf_config: Mapping[str, Any] | None
) -> tuple[Family, Any]:
    """Family and config of a video model.

    Raises:
        ValueError: no architecture, or one that is not in ``FAMILIES``.
        OSError: ``pretrained`` is not here.
    """
    config = find_config(pretrained, revision, hf_config)
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise InputError(
            f"{pretrained or 'hf_config'} is of model_type {config.model_type!r},"
            f" expected one of {[*FAMILIES]}"
        )
    if family.config:
        config = getattr(config, family.config)
    pools = getattr(config, "num_query_pool", None)
    if pools is not None and pools + 1 != len(config.depths):
        raise InputError(
            f"num_query_pool is {pools}, expected {len(config.depths) - 1}: only then"
            " are Hiera's tokens in the order of their places"
        )
    return family, config


def sizes_told(family: Family, config: Any) -> dict[str, int]:
    """``num_frames``, ``img_size`` and ``embed_dims`` of a config of transformers."""
    frames = getattr(config, family.frames) if family.frames else IMAGE_FRAMES
    side = getattr(config, family.size)
    if not isinstance(side, int) and len(set(side)) > 1:
        raise InputError(f"{family.size} is {side}, expected a square")
    return dict(num_frames=frames, img_size=_first(side), embed_dims=config.hidden_size)


def _first(value: Any) -> int:
    return value if isinstance(value, int) else value[0]
