"""VideoMamba in one direction of time: both ways within a frame, forward over frames.

Shapes: b clips or cameras, t frames, h w pixels, p patches of a frame, d channels.
"""

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.backbones.conv_stem import ConvStem, causal_motion
from mmfusion.models.backbones.video_mamba import ARCHITECTURES
from mmfusion.models.layers import (
    FadingMean,
    MixerState,
    State,
    add_norm,
    build_blocks,
    check_clip,
    hold_frames,
    init_vision_mamba,
    keep_rows,
    mixer_states,
    named_mixers,
    pack_frames,
    take_frames,
)
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError, check_choice


@MODELS.register_module()
class CausalVideoMamba(BaseModule):
    """Video frame by frame: no frame changes what was read out before it.

    A frame becomes patches by :class:`ConvStem`. Blocks take turns: one reads the
    patches of a frame from both ends, the next each patch's past in one direction, so
    that what is kept between frames is a state for each patch. What is read out after a
    frame is the fading mean of the frames' mean patches. There are no positions in
    time: a stream has no end. A frame that is masked is a lost one: it is passed over,
    and the readout before it holds.

    Args:
        arch: as in :class:`VideoMamba`; half of its depth are blocks over time.
        img_size: side of the square input in pixels. patch_size: side of a patch.
        inputs: what the stem looks at: ``video``, ``motion`` (:func:`causal_motion`),
            or both.
        memory: frames that the readout remembers at the start of training.
        drop_path_rate: of the last blocks.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads weights.

    Example:
        >>> import torch
        >>> model = CausalVideoMamba(arch="nano", img_size=32).eval()
        >>> features = model(torch.randn(1, 3, 5, 32, 32))
        >>> features.tokens.shape, features.cls.shape
        (torch.Size([1, 5, 64]), torch.Size([1, 64]))
        >>> state = model.allocate_state(1)
        >>> readout, state = model.step(torch.randn(1, 3, 32, 32), None, state)
        >>> readout.shape
        torch.Size([1, 64])
    """

    def __init__(
        self,
        arch: str = "tiny",
        *,
        img_size: int = 224,
        patch_size: int = 16,
        inputs: Sequence[str] = ("video", "motion"),
        memory: float = 16,
        drop_path_rate: float = 0.0,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("arch", arch, ARCHITECTURES)
        if img_size % patch_size:
            raise InputError(
                f"img_size={img_size} must be a multiple of patch_size={patch_size}"
            )
        self.embed_dims: int = ARCHITECTURES[arch]["embed_dims"]
        pairs = ARCHITECTURES[arch]["depth"] // 2
        self.frame_shape = (3, img_size, img_size)
        self.num_patches = (img_size // patch_size) ** 2
        self.stem = ConvStem(self.embed_dims, patch_size, inputs=inputs)
        self.pos_embed = nn.Parameter(torch.zeros(self.num_patches, self.embed_dims))
        within, _ = build_blocks(
            self.embed_dims, pairs, bidirectional=True, drop_path_rate=drop_path_rate
        )
        over, self.drop_path = build_blocks(
            self.embed_dims, pairs, bidirectional=False, drop_path_rate=drop_path_rate
        )
        self.space, self.time = ModuleList(within), ModuleList(over)
        self.norm_f = nn.RMSNorm(self.embed_dims, eps=1e-5)
        self.readout = FadingMean(self.embed_dims, memory)
        for blocks in (self.space, self.time):
            init_vision_mamba(blocks, 2 * pairs, reset_dt=False, std=None)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode frames in order of time.

        Args:
            x: (b, 3, t, h, w), normalised. mask: (b, t) bool, False for a frame that
                was lost; None: all came.

        Returns:
            tokens (b, t, d), the readout after each frame; cls (b, d), the last one;
            the mask.

        Raises:
            InputError: frames of another size than the model was built for.
        """
        size = self.frame_shape
        check_clip(x, (size[0], x.shape[2], *size[1:]))
        seen = x.new_ones(len(x), x.shape[2]).bool() if mask is None else mask
        frames = take_frames(x.transpose(1, 2), pack_frames(seen))
        x, _ = self._patches(frames, self._first_look(len(x)))  # (b, t', p, d)
        hidden, residual = x, None
        for space, time in zip(self.space, self.time, strict=True):
            hidden, residual = _within_frames(space, hidden, residual)
            hidden, residual = _over_frames(time, hidden, residual)
        x = self._frame_vector(hidden, residual)  # (b, t', d)
        tokens = hold_frames(self.readout(x), seen)  # (b, t, d)
        return TokenFeatures(tokens, tokens[:, -1], mask)

    def allocate_state(self, batch_size: int) -> State:
        """The state of streams before their first frame."""
        count = batch_size * self.num_patches
        mixers = mixer_states([b.mixer.allocate_state(count) for b in self.time])
        return {
            **self._first_look(batch_size),
            **_unfold(mixers, self.num_patches),
            **self.readout.allocate_state(batch_size),
        }

    def step(
        self, x: Tensor, mask: Tensor | None, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, State]:
        """One frame of each stream; frame by frame it equals :meth:`forward`.

        Args:
            x: (b, 3, h, w), normalised. mask: (b,) bool, False for a row without a
                frame, which keeps its state; None: all have one. state: after the
                frame before.

        Returns:
            The readout after this frame, (b, d), and the state.
        """
        state = dict(state)
        check_clip(x.unsqueeze(2), (3, 1, *self.frame_shape[1:]))
        patches, look = self._patches(x.unsqueeze(1), state)
        mixers = [
            MixerState(kept.conv.flatten(0, 1), kept.scan.flatten(0, 1))
            for kept in named_mixers(state, len(self.time))
        ]
        hidden, residual = patches, None  # (b, 1, p, d)
        for index, (space, time) in enumerate(zip(self.space, self.time, strict=True)):
            hidden, residual = _within_frames(space, hidden, residual)
            shape = hidden.shape
            rows, sums, mixers[index] = time.step(
                hidden.flatten(0, 2), residual.flatten(0, 2), mixers[index]
            )
            hidden, residual = rows.view(shape), sums.view(shape)
        y = self._frame_vector(hidden, residual)[:, 0]  # (b, d)
        kept = _unfold(mixer_states(mixers), self.num_patches)
        new = {**look, **kept, **self.readout.step(y, state)}
        seen = x.new_ones(len(x)).bool() if mask is None else mask
        state = keep_rows(seen, new, state)
        return state["readout"], state

    def _first_look(self, batch_size: int) -> State:
        """Memory of the stem before the first frame."""
        if "motion" not in self.stem.inputs:
            return {}
        zeros = self.pos_embed.new_zeros(batch_size, *self.frame_shape)
        return {
            "stem.frame": zeros,
            "stem.peak": zeros[:, 0, 0, 0],
            "stem.any": zeros[:, 0, 0, 0].bool(),
        }

    def _patches(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """Frames (b, t, 3, h, w) after those of the state -> (b, t, p, d), state."""
        video = frames.transpose(1, 2)  # (b, 3, t, h, w)
        made, look = {"video": video}, {}
        if "motion" in self.stem.inputs:
            made["motion"], peak = causal_motion(
                video, state["stem.frame"], state["stem.peak"], state["stem.any"]
            )
            look = {
                "stem.frame": video[:, :, -1],
                "stem.peak": peak,
                "stem.any": torch.ones_like(state["stem.any"]),
            }
        x = self.stem.patches(torch.cat([made[name] for name in self.stem.inputs], 1))
        return x + self.pos_embed, look

    def _frame_vector(self, hidden: Tensor, residual: Tensor | None) -> Tensor:
        """Last add and norm, mean of the patches: (b, t, p, d) -> (b, t, d)."""
        shape = hidden.shape
        rows = self.drop_path(hidden.flatten(0, 1))
        residual = None if residual is None else residual.flatten(0, 1)
        x = add_norm(rows, residual, self.norm_f)[0].to(hidden.dtype)
        return x.view(shape).mean(2)


def _within_frames(
    block: nn.Module, hidden: Tensor, residual: Tensor | None
) -> tuple[Tensor, Tensor]:
    """A block over the patches of each frame: (b, t, p, d) -> the same shape."""
    shape = hidden.shape
    residual = None if residual is None else residual.flatten(0, 1)
    hidden, residual = block(hidden.flatten(0, 1), residual)
    return hidden.view(shape), residual.view(shape)


def _over_frames(
    block: nn.Module, hidden: Tensor, residual: Tensor
) -> tuple[Tensor, Tensor]:
    """A block over the past of each patch: (b, t, p, d) -> the same shape."""
    shape = hidden.transpose(1, 2).shape  # (b, p, t, d)
    hidden, residual = (x.transpose(1, 2).flatten(0, 1) for x in (hidden, residual))
    hidden, residual = block(hidden, residual)
    return hidden.view(shape).transpose(1, 2), residual.view(shape).transpose(1, 2)


def _unfold(states: State, patches: int) -> State:
    """(b p, ...) -> (b, p, ...): rows in front."""
    return {name: x.unflatten(0, (-1, patches)) for name, x in states.items()}
