"""A causal decoder that foresees the next moment: AVT's head and AFFT's predictor.

Shapes: b rows, t moments, c channels of a moment, d channels within.
"""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.registry import MODELS
from mmfusion.structures import Foreseen, TokenFeatures
from mmfusion.utils.errors import InputError
from mmfusion.utils.hugging_face import import_transformers
from mmfusion.weights import PublishedWeights

_POSITIONS = 1024  # GPT-2's table; published weights have it whole
_STD = 0.01  # of all linear layers of both systems

PUBLISHED = PublishedWeights(
    marker=r"^future_predictor\.",
    elsewhere=(
        (r"^backbone\.model\.", "encoders.video."),
        (r"^classifiers\.(\w+)\.(weight|bias)$", r"heads.\1.fc.\2"),
        (
            r"^future_predictor\.classifiers\.(\w+)\.all-fused\.1\.(weight|bias)$",
            r"heads.\1.fc.\2",
        ),
    ),
    renames=(
        (r"^future_predictor\.mapping\.(\w+)\.mapping\.0\.", r"fuser.mapping.\1."),
        (r"^fuser\.mapping\.objects\.", "fuser.mapping.obj."),
        (r"^future_predictor\.dim_(encoder|decoder)\.", r"\1."),
        (r"^(future_predictor\.){1,2}", ""),
    ),
    unused={
        r"\.attn\.(masked_)?bias$": "the causal mask, which older files hold",
        r"^cls_map_": "which verb and noun an action has",
    },
)


@MODELS.register_module()
class FuturePredictor(BaseModule):
    """Foresee, after each moment, the vector of the next, by GPT-2's decoder.

    AVT-h (Girdhar and Grauman, ICCV 2021, arXiv 2106.02036, section 3.3), and, with a
    :class:`SAFuser` before it, AFFT (WACV 2023, arXiv 2210.12649). A linear layer
    brings moments to d, the decoder reads them causally, another linear layer goes back
    to c. The last vector goes to the heads; :class:`FeatureRegression` and
    :class:`PastClassification` train the others. Parameters bear the authors' names; a
    whole published model loads by ``load_from``.

    Args:
        in_dims: c. embed_dims: d. depth: blocks. num_heads: of each.
        drop_rate: of the tokens, attention and residuals of the decoder.
        init_std: of all weights; None is the authors' 0.01 of the linear layers and
            GPT-2's 0.02. A narrow decoder needs more: about d ** -0.5.
        stream: whose tokens are the moments, one token each. Unused with a fuser.
        fuser: config of what makes moments of several streams, such as
            :class:`SAFuser`; it is trained along.

    Raises:
        ValueError: heads that do not divide d.

    Example:
        >>> neck = FuturePredictor(8, embed_dims=16, depth=1, num_heads=2).eval()
        >>> neck({"video": TokenFeatures(torch.randn(2, 5, 8))}).shape
        torch.Size([2, 8])
    """

    published_weights = PUBLISHED

    def __init__(
        self,
        in_dims: int,
        *,
        embed_dims: int = 2048,
        depth: int = 6,
        num_heads: int = 4,
        drop_rate: float = 0.1,
        init_std: float | None = None,
        stream: str = "video",
        fuser: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if embed_dims % num_heads:
            raise InputError(
                f"embed_dims is {embed_dims}, expected a multiple of {num_heads} heads"
            )
        self.in_dims, self.stream = in_dims, stream
        self.fuser = None if fuser is None else MODELS.build(fuser)
        self.encoder = nn.Linear(in_dims, embed_dims, bias=False)
        self.decoder = nn.Linear(embed_dims, in_dims, bias=False)
        for layer in (self.encoder, self.decoder):
            nn.init.normal_(layer.weight, std=init_std or _STD)
        transformers = import_transformers()
        config = transformers.GPT2Config(
            n_embd=embed_dims,
            n_layer=depth,
            n_head=num_heads,
            n_positions=_POSITIONS,
            vocab_size=1,
            use_cache=False,
            bos_token_id=None,
            eos_token_id=None,
            embd_pdrop=drop_rate,
            resid_pdrop=drop_rate,
            attn_pdrop=drop_rate,
            attn_implementation="sdpa",
            initializer_range=init_std or 0.02,
        )
        self.gpt_model = transformers.GPT2Model(config)
        del self.gpt_model.wte  # moments are no words

    def forward(self, feats: dict[str, TokenFeatures]) -> Tensor:
        """Features by stream -> what comes after the last moment, (b, c).

        Raises:
            ValueError: as :meth:`foresee`.
        """
        return self.foresee(feats).future

    def foresee(self, feats: dict[str, TokenFeatures]) -> Foreseen:
        """Features by stream -> the moments, and what was foreseen after each.

        Raises:
            ValueError: the stream is missing or has another width, or there are more
                moments than positions.
        """
        if self.fuser is not None:
            moments = self.fuser(feats)
        elif self.stream in feats:
            moments = feats[self.stream]
        else:
            raise InputError(
                f"the encoders give {sorted(feats)}, expected {self.stream!r} among"
                " them"
            )
        x, mask = moments.tokens, moments.mask
        if x.shape[-1] != self.in_dims or x.shape[1] > _POSITIONS:
            raise InputError(
                f"moments have the shape {tuple(x.shape)}, expected (b, t,"
                f" {self.in_dims}) with t up to {_POSITIONS}"
            )
        hidden = self.gpt_model(
            inputs_embeds=self.encoder(x), attention_mask=_readable(x, mask)
        ).last_hidden_state  # (b, t, d)
        return Foreseen(x, self.decoder(hidden), mask)


def _readable(x: Tensor, mask: Tensor | None) -> Tensor:
    """(b or 1, 1, t, t) bool: each moment reads itself and the real ones before it.

    transformers would make it from the mask, and look at values on the way, which a
    count of operations on no device and an export cannot.
    """
    count = x.shape[1]
    causal = torch.ones(1, 1, count, count, dtype=torch.bool, device=x.device).tril()
    if mask is None:
        return causal
    itself = torch.eye(count, dtype=torch.bool, device=x.device)
    return causal & (mask[:, None, None] | itself)
