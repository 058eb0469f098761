"""Contracts between the parts of a model: the attributes that each may ask of another.

An encoder, a neck or a head of yours needs no base class, only what stands here.
Optional parts are asked for by ``isinstance``.

Shapes: b rows (clips times views, times questions where there are several), l tokens,
d channels, m streams, k classes of a task.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from mmfusion.structures import Foreseen, ForwardPass, TokenFeatures


class Encoder(Protocol):
    """One stream in, token features out.

    Attributes:
        embed_dims: d, width of the tokens, which the neck or the heads are built for.
    """

    embed_dims: int

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode (b, ...), with its mask (b, ...) or None: tokens (b, l, d)."""


@runtime_checkable
class HasInputShape(Protocol):
    """An encoder that is built for inputs of one size.

    Attributes:
        input_shape: of one view: (3, t, h, w) of a video, (t, j, c) of a skeleton.
    """

    input_shape: tuple[int, ...]


@runtime_checkable
class ReadsExtraStreams(Protocol):
    """An encoder that reads other inputs of the batch beside its own.

    Attributes:
        extra_streams: names of inputs, such as ``("boxes",)``. Each is given by
            keyword, and its ``<name>_mask``, which is None where the batch has none.
    """

    extra_streams: tuple[str, ...]


@runtime_checkable
class ReadsBoxes(Protocol):
    """An encoder of videos that reads boxes beside them.

    Attributes:
        num_boxes: of a frame, at most.
    """

    num_boxes: int


@runtime_checkable
class CountsHands(Protocol):
    """An encoder that takes the joints of a frame apart into hands.

    Attributes:
        num_hands: hands; samples that say another number are refused.
    """

    num_hands: int


@runtime_checkable
class ReadsFrameByFrame(Protocol):
    """An encoder of one-directional time, which can read a stream that has no end.

    Its tokens (b, t, d) are what it reads out after each frame, ``cls`` the last one.

    Attributes:
        frame_shape: of one frame: (3, h, w) of a video, (j, c) of a skeleton.
    """

    frame_shape: tuple[int, ...]

    def allocate_state(self, batch_size: int) -> dict[str, Tensor]:
        """State before the first frame: tensors with b rows, of a size that stays."""

    def step(
        self, x: Tensor, mask: Tensor | None, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read one frame a row: what is read out after it, (b, d), and the state.

        A row whose mask has no True keeps its state and its readout.
        """


@runtime_checkable
class FusesSummaries(Protocol):
    """A neck that can tell whether one vector a stream is all that it reads.

    Attributes:
        summaries_only: whether ``TokenFeatures.summary`` and ``present`` decide what it
            gives; it can then be asked at any moment of a stream.
    """

    summaries_only: bool


class Neck(Protocol):
    """Streams in, one vector out."""

    def __call__(self, feats: dict[str, TokenFeatures]) -> Tensor:
        """Fuse features by stream: (b, d), b the most rows of a stream.

        Or (b, t, d), a vector at every moment, of which the heads score each.
        """


@runtime_checkable
class Foresees(Protocol):
    """A neck that foresees the next moment after each one; it gives the last."""

    def foresee(self, feats: dict[str, TokenFeatures]) -> Foreseen:
        """Read features by stream, one token a moment."""


@runtime_checkable
class HasClasses(Protocol):
    """A head whose classes are checked against those of the data.

    Attributes:
        num_classes: k; labels of the task are 0..k-1.
    """

    num_classes: int


class Head(HasClasses, Protocol):
    """A fused vector in, logits of one task out."""

    def __call__(self, x: Tensor) -> Tensor:
        """Score classes: (..., d) -> logits (..., k)."""

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compare logits (b, k) with labels (b,), or soft ones (b, k): a scalar."""


class AuxiliaryLoss(Protocol):
    """A loss of training alone, beside those of the heads."""

    def __call__(self, made: ForwardPass) -> Mapping[str, Tensor]:
        """Scalars by name, already weighted, of one forward in mode ``loss``.

        Each joins the losses as ``loss_<name of the module>_<name>``; none is fine.
        """


@runtime_checkable
class HasEncoders(Protocol):
    """A model with an encoder a stream.

    Attributes:
        encoders: a module each, by the stream that it reads.
    """

    encoders: nn.ModuleDict


@runtime_checkable
class HasHeads(Protocol):
    """A model with a head a task.

    Attributes:
        heads: a module each, by task.
    """

    heads: nn.ModuleDict


@runtime_checkable
class LogsScalars(Protocol):
    """A neck, or a model, with numbers worth a line in the log."""

    def logged_scalars(self) -> dict[str, float]:
        """Numbers by the name that they have in the log."""


@runtime_checkable
class WeighsStreams(Protocol):
    """A mix of CLS tokens that gives each stream a weight.

    Attributes:
        last_weights: (m,), or (b, m) where each row has its own, of the last forward;
            absent before the first.
    """

    last_weights: Tensor


@runtime_checkable
class WeighsSamples(Protocol):
    """A neck, or a model, that can tell the weight of each stream."""

    def stream_weights(self) -> dict[str, Tensor]:
        """Weights by stream at the last forward: (), or (b,) where each row has its
        own; empty where streams have none."""


@runtime_checkable
class CountsOwnFlops(Protocol):
    """A module with operations of its own that a counter of products does not see.

    Attributes:
        uncounted_flops: of the last forward.
    """

    uncounted_flops: int
