"""Inputs of a neck: the streams that it names, at its width.

Shapes: b rows, l tokens, c channels of a stream, d channels of the neck.
"""

from collections.abc import Mapping
from types import MappingProxyType

from mmengine.model import BaseModule, ModuleDict
from torch import Tensor, nn

from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError

# paper B's two streams: the video as it is, the text through its MLP
VIDEO_AND_TEXT: Mapping[str, Mapping] = MappingProxyType(
    {"video": MappingProxyType({}), "text": MappingProxyType({"mlp": True})}
)
_OPTIONS = {"in_dims", "mlp"}


def stream_mlp(in_dims: int, embed_dims: int) -> nn.Sequential:
    """The MLP of equation 5 as released: three layers, the first without a bias.

    It starts so that tokens keep their size. PyTorch's own start makes them ten times
    smaller, and the gate, a product of two small numbers, then hides the stream.
    """
    first = nn.Linear(in_dims, embed_dims, bias=False)
    second, third = (nn.Linear(embed_dims, embed_dims) for _ in range(2))
    nn.init.kaiming_normal_(first.weight, nonlinearity="relu")
    nn.init.kaiming_normal_(second.weight, nonlinearity="relu")
    nn.init.kaiming_normal_(third.weight, nonlinearity="linear")
    nn.init.zeros_(second.bias)
    nn.init.zeros_(third.bias)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)


class StreamInputs(BaseModule):
    """Pick a neck's streams out of all features and bring them to one width.

    Args:
        streams: settings by stream, in the neck's order: ``mlp``, whether it passes
            through :func:`stream_mlp` (needed where its width is another), and
            ``in_dims``, its width c, which is d by default.
        embed_dims: d.

    Raises:
        ValueError: an unknown setting, or another width without an MLP.
    """

    def __init__(self, streams: Mapping[str, Mapping], embed_dims: int) -> None:
        super().__init__()
        self.names = tuple(streams)
        self.embed_dims = embed_dims
        self.in_dims: dict[str, int] = {}
        mlps = {}
        for name, options in streams.items():
            if set(options) - _OPTIONS:
                raise InputError(
                    f"streams[{name!r}] is {dict(options)}, expected some of"
                    f" {sorted(_OPTIONS)}"
                )
            width = self.in_dims[name] = options.get("in_dims", embed_dims)
            if options.get("mlp", False):
                mlps[name] = stream_mlp(width, embed_dims)
            elif width != embed_dims:
                raise InputError(
                    f"streams[{name!r}] has in_dims={width}, the neck"
                    f" embed_dims={embed_dims}: give the stream mlp=True"
                )
        if not self.names:
            raise InputError("streams is empty, expected the settings of one or more")
        self.mlps = ModuleDict(mlps)

    def forward(self, feats: Mapping[str, TokenFeatures]) -> dict[str, TokenFeatures]:
        """All tokens (b, l, c), and CLS (b, c), of each named stream at width d.

        Raises:
            ValueError: a stream is not there, or has another width than it should.
        """
        return {name: self._tokens(feats, name) for name in self.names}

    def summaries(self, feats: Mapping[str, TokenFeatures]) -> dict[str, TokenFeatures]:
        """One token (b, 1, d) of each named stream: its CLS token or its mean.

        Raises:
            ValueError: as :meth:`forward`.
        """
        found = {}
        for name in self.names:
            stream = self._checked(feats, name)
            token = self._project(name, stream.summary).unsqueeze(1)  # (b, 1, d)
            present = stream.present
            mask = None if present is None else present.unsqueeze(1)  # (b, 1)
            found[name] = TokenFeatures(token, None, mask)
        return found

    def _tokens(self, feats: Mapping[str, TokenFeatures], name: str) -> TokenFeatures:
        stream = self._checked(feats, name)
        cls = None if stream.cls is None else self._project(name, stream.cls)
        return TokenFeatures(self._project(name, stream.tokens), cls, stream.mask)

    def _project(self, name: str, x: Tensor) -> Tensor:
        """(..., c) -> (..., d), equation 5's MLP."""
        return self.mlps[name](x) if name in self.mlps else x

    def _checked(self, feats: Mapping[str, TokenFeatures], name: str) -> TokenFeatures:
        if name not in feats:
            raise InputError(
                f"the neck fuses {self.names}, but the encoders give {sorted(feats)}"
            )
        width = feats[name].tokens.shape[-1]
        if width != self.in_dims[name]:
            raise InputError(
                f"stream {name!r} has width {width}, the neck expects"
                f" {self.in_dims[name]}: give streams[{name!r}] in_dims={width}"
            )
        return feats[name]
