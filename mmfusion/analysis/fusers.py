"""Parameters and FLOPs of the fusers of paper B's Tables 3 and 4, beside the paper's.

They are of one clip's forward pass, counted as :mod:`mmfusion.analysis.flops` says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from mmfusion.analysis.flops import BILLION, MILLION, count_flops, num_parameters
from mmfusion.analysis.tables import NONE, Grid
from mmfusion.models import (
    AttentiveProbe,
    CoupledMambaFusion,
    CrossModalScanFusion,
    MLPFusion,
    SharedSSMFusion,
    TextEncoder,
    TransformerFusion,
)
from mmfusion.structures import TokenFeatures

# Table 3: verb, noun and action top-1 with ORViT, percent
ACCURACY = {
    "MLP": (62.8, 51.6, 39.6),
    "Transformer 6x4": (62.9, 51.9, 40.0),
    "Transformer 12x12": (62.5, 51.8, 39.5),
    "MambaVL": (69.1, 63.9, 48.6),
}
# Table 4: G and millions of parameters of the whole model
ORVIT = (405.0, 148.0)
WHOLE = {"Transformer 12x12": (413.5, 242.0), "MambaVL": (413.0, 157.0)}
WIDTH = 768
ROBERTA_WIDTH = 768
VIDEO_TOKENS = 1568  # 8 x 14 x 14, beside the CLS token
KINDS: dict[str, tuple[Callable, dict[str, Any]]] = {
    "MLP": (MLPFusion, {}),
    **{
        f"Transformer {depth}x{heads}{suffix}": (
            TransformerFusion,
            dict(depth=depth, num_heads=heads, inputs=inputs),
        )
        for suffix, inputs in (("", "pooled"), (", all tokens", "tokens"))
        for depth, heads in ((6, 4), (12, 12))
    },
    "MambaVL": (SharedSSMFusion, {}),
    # not the paper's: other fusions by state spaces
    "MambaVL by Mamba-2": (SharedSSMFusion, dict(mixer="mamba2", d_state=64)),
    "Coupled Mamba, 2 layers": (CoupledMambaFusion, {}),
    "ViM, 6 blocks": (CrossModalScanFusion, {}),
    # not the paper's: V-JEPA's, and V-JEPA 2's
    **{
        f"Attentive probe {depth}x16": (
            AttentiveProbe,
            dict(depth=depth, num_heads=16),
        )
        for depth in (1, 4)
    },
}


@dataclass(frozen=True)
class Fuser:
    """Costs of one fuser.

    Attributes:
        name: as in Table 3.
        tokens: that it reads of a clip with one question.
        parameters: without the text's MLP.
        text_mlp: parameters of the MLP.
        flops: of the fuser, all questions.
        text_flops: of the text encoder before it.
    """

    name: str
    tokens: int
    parameters: int
    text_mlp: int
    flops: float
    text_flops: float


def fusers(
    width: int, video_tokens: int, text_tokens: int, questions: int
) -> list[Fuser]:
    """Every row of Table 3, the Transformers on all tokens, and the attentive probes.

    The pooled ones read RoBERTa's pooled output, which needs its 12 layers; the others
    read its input embeddings, as released.
    """

    def features() -> tuple[dict[str, TokenFeatures]]:
        video = torch.empty(1, video_tokens, width), torch.empty(1, width)
        text = torch.empty(questions, text_tokens, ROBERTA_WIDTH)
        return ({"video": TokenFeatures(*video), "text": TokenFeatures(text)},)

    streams = {"video": {}, "text": {"mlp": True, "in_dims": ROBERTA_WIDTH}}
    rows = []
    for name, (kind, options) in KINDS.items():
        if width % options.get("num_heads", 1):
            continue
        with torch.device("meta"):
            neck: Any = kind(width, streams=streams, **options).eval()
        pooled = kind is MLPFusion or options.get("inputs") == "pooled"
        text_mlp = num_parameters(neck.inputs)
        rows.append(
            Fuser(
                name=name,
                tokens=2 if pooled else 1 + video_tokens + text_tokens,
                parameters=num_parameters(neck) - text_mlp,
                text_mlp=text_mlp,
                flops=count_flops(neck, features)[""],
                text_flops=roberta_flops(text_tokens, questions) if pooled else 0.0,
            )
        )
    return rows


@cache
def roberta_flops(text_tokens: int, questions: int) -> float:
    """FLOPs of RoBERTa's layers and pooler."""
    with torch.device("meta"):
        model = TextEncoder(summary="pooler").eval().model

    def call() -> tuple[torch.Tensor]:
        return (torch.zeros(questions, text_tokens, dtype=torch.int64),)

    return count_flops(model, call)[""]


def table_3(rows: Sequence[Fuser], width: int) -> Grid:
    """Costs of each fuser, and the paper's accuracies with it."""
    head = ["fuser", "tokens", "params M", "+ text MLP", "GFLOPs", "GMACs"]
    head += ["text encoder", "paper: verb", "noun", "action"]
    body = []
    for row in rows:
        accuracy = ACCURACY.get(row.name) if width == WIDTH else None
        body.append(
            [
                row.name,
                str(row.tokens),
                f"{row.parameters / MILLION:.2f}",
                f"{(row.parameters + row.text_mlp) / MILLION:.2f}",
                f"{row.flops / BILLION:.2f}",
                f"{row.flops / 2 / BILLION:.2f}",
                f"{row.text_flops / BILLION:.2f}",
                *(map(str, accuracy) if accuracy else [NONE] * 3),
            ]
        )
    title = f"Table 3: fusers at width {width}, of one clip with its questions"
    return Grid(title, head, body)


def table_4(rows: Sequence[Fuser]) -> Grid:
    """The paper's ORViT with each fuser, as we count it and as the paper does.

    Its GFLOPs are taken for multiply-adds, as ORViT's authors count.
    """
    head = ["model", "G (ours)", "G (paper)", "params M (ours)", "params M (paper)"]
    body = [["ORViT", NONE, f"{ORVIT[0]:g}", NONE, f"{ORVIT[1]:g}"]]
    for row in rows:
        cost = (row.flops + row.text_flops) / 2 / BILLION
        parameters = (row.parameters + row.text_mlp) / MILLION
        paper = WHOLE.get(row.name)
        body.append(
            [
                f"ORViT + {row.name}",
                f"{ORVIT[0] + cost:.1f}",
                f"{paper[0]:g}" if paper else NONE,
                f"{ORVIT[1] + parameters:.0f}",
                f"{paper[1]:g}" if paper else NONE,
            ]
        )
    title = "Table 4: the paper's ORViT plus our fuser (with text encoder, in MACs)"
    return Grid(title, head, body)
