"""SkeletonMamba in one direction of time, the same frame by frame as clip by clip.

Shapes: b clips or cameras, t frames, j joints of all hands one after the other, c
coordinates, d channels.
"""

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.backbones.video_mamba import ARCHITECTURES
from mmfusion.models.layers import (
    FadingMean,
    State,
    build_blocks,
    forward_blocks,
    hold_frames,
    init_vision_mamba,
    keep_rows,
    mixer_states,
    named_mixers,
    pack_frames,
    step_blocks,
    take_frames,
)
from mmfusion.models.skeleton_encoders.frame_stem import FRAME_PARTS, FrameStem
from mmfusion.models.skeleton_encoders.joint_features import (
    check_sizes,
    check_skeleton,
)
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import check_choice


@MODELS.register_module()
class CausalSkeletonMamba(BaseModule):
    """Hands frame by frame: no frame changes what was read out before it.

    A frame is one token (:class:`FrameStem`); Mamba blocks read them in one direction,
    and what is read out after each frame is the fading mean of their outputs. There are
    no positions in time: a stream has no end. A frame without a seen joint is a lost
    one: it is passed over, and the readout before it holds.

    Args:
        arch: as in :class:`SkeletonMamba`.
        num_joints: joints of all hands together. num_hands: hands (or persons).
        in_channels: coordinates of a joint.
        stem_parts, stem_steps, stem_width, stem_drop_rate: as in :class:`FrameStem`.
        memory: frames that the readout remembers at the start of training.
        drop_path_rate: of the last block.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads weights.

    Example:
        >>> import torch
        >>> model = CausalSkeletonMamba(arch="nano").eval()
        >>> features = model(torch.randn(1, 4, 42, 3))
        >>> features.tokens.shape, features.cls.shape
        (torch.Size([1, 4, 64]), torch.Size([1, 64]))
        >>> state = model.allocate_state(1)
        >>> readout, state = model.step(torch.randn(1, 42, 3), None, state)
        >>> readout.shape
        torch.Size([1, 64])
    """

    def __init__(
        self,
        arch: str = "tiny",
        *,
        num_joints: int = 42,
        num_hands: int = 2,
        in_channels: int = 3,
        stem_parts: Sequence[str] = FRAME_PARTS,
        stem_steps: Sequence[int] = (1, 2),
        stem_width: int = 128,
        stem_drop_rate: float = 0.1,
        memory: float = 32,
        drop_path_rate: float = 0.0,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice("arch", arch, ARCHITECTURES)
        check_sizes(num_joints, num_hands, in_channels)
        self.embed_dims: int = ARCHITECTURES[arch]["embed_dims"]
        depth: int = ARCHITECTURES[arch]["depth"]
        self.num_hands = num_hands
        self.frame_shape = (num_joints, in_channels)
        self.stem = FrameStem(
            self.embed_dims,
            num_joints=num_joints,
            num_hands=num_hands,
            in_channels=in_channels,
            parts=stem_parts,
            steps=stem_steps,
            width=stem_width,
            drop_rate=stem_drop_rate,
        )
        blocks, self.drop_path = build_blocks(
            self.embed_dims, depth, bidirectional=False, drop_path_rate=drop_path_rate
        )
        self.layers = ModuleList(blocks)
        self.norm_f = nn.RMSNorm(self.embed_dims, eps=1e-5)
        self.readout = FadingMean(self.embed_dims, memory)
        init_vision_mamba(self.layers, depth, reset_dt=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode joints of frames in order of time.

        Args:
            x: (b, t, j, c). mask: (b, t, j) bool, False for a joint that was not seen;
                None: all were.

        Returns:
            tokens (b, t, d), the readout after each frame; cls (b, d), the last one;
            mask (b, t), False where no joint was seen, or None.

        Raises:
            InputError: x or the mask has another size than the model was built for.
        """
        check_skeleton(x, mask, (x.shape[1], *self.frame_shape))
        all_seen = mask is None
        mask = torch.ones_like(x[..., 0], dtype=torch.bool) if mask is None else mask
        seen = mask.any(-1)  # (b, t)
        places = pack_frames(seen)
        x, joints = take_frames(x, places), take_frames(mask, places)
        state = self.stem.allocate_state(len(x))
        x, _ = self.stem(x, joints, joints.any(-1), state)  # (b, t', d)
        x = forward_blocks(x, self.layers, self.norm_f, self.drop_path)
        tokens = hold_frames(self.readout(x), seen)  # (b, t, d)
        return TokenFeatures(tokens, tokens[:, -1], None if all_seen else seen)

    def allocate_state(self, batch_size: int) -> State:
        """The state of streams before their first frame."""
        mixers = [block.mixer.allocate_state(batch_size) for block in self.layers]
        return {
            **self.stem.allocate_state(batch_size),
            **mixer_states(mixers),
            **self.readout.allocate_state(batch_size),
        }

    def step(
        self, x: Tensor, mask: Tensor | None, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, State]:
        """One frame of each stream; frame by frame it equals :meth:`forward`.

        Args:
            x: (b, j, c). mask: (b, j) bool; a row without a seen joint keeps its state;
                None: all were seen. state: after the frame before.

        Returns:
            The readout after this frame, (b, d), and the state.
        """
        state = dict(state)
        mask = torch.ones_like(x[..., 0], dtype=torch.bool) if mask is None else mask
        seen = mask.any(-1)  # (b,)
        all_rows = torch.ones_like(seen).unsqueeze(1)
        tokens, stem = self.stem(x.unsqueeze(1), mask.unsqueeze(1), all_rows, state)
        mixers = named_mixers(state, len(self.layers))
        y, mixers = step_blocks(
            tokens[:, 0], self.layers, mixers, self.norm_f, self.drop_path
        )
        new = {**stem, **mixer_states(mixers), **self.readout.step(y, state)}
        state = keep_rows(seen, new, state)
        return state["readout"], state
