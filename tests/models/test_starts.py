"""Start of every parameter of every model: what it is drawn from, or its value."""

import math
import re

import pytest
import torch

from mmfusion.models import (
    AnswerHead,
    ClassificationHead,
    CLIPTimeSformer,
    CLIPViT,
    CLSMixFusion,
    InAViT,
    MLPFusion,
    Motionformer,
    ORViT,
    SharedSSMFusion,
    SkeletonMamba,
    TransformerFusion,
    VideoMamba,
)


def normal(std):
    """Normal numbers, cut far out or not: no mean, that deviation."""

    def check(x):
        assert abs(x.mean()) < 5 * std / math.sqrt(x.numel())
        assert abs(x.std() / std - 1) < 5 / math.sqrt(2 * x.numel())

    return check


def uniform(high, low=None):
    """Uniform numbers between two bounds, by default -high and high."""
    low = -high if low is None else low

    def check(x):
        x = (x - low) / (high - low)
        assert x.min() >= -1e-5 and x.max() <= 1 + 1e-5
        assert abs(x.mean() - 0.5) < 1.5 / math.sqrt(x.numel())
        assert abs(x.std() * math.sqrt(12) - 1) < 3 / math.sqrt(x.numel())

    return check


def default(fan_in):
    """PyTorch's start of a layer's weight and bias."""
    return uniform(fan_in**-0.5)


def constant(value):
    def check(x):
        assert bool((x == value).all())

    return check


def small_delta(bias):
    """softplus(bias) is log-uniform in [0.001, 0.1], as in Mamba."""
    delta = torch.nn.functional.softplus(bias.double())
    uniform(math.log(0.1), math.log(0.001))(delta.log())


def one_to_n(states):
    """exp(A_log) is 1, 2, ..., n for every channel."""

    def check(A_log):
        A = A_log.exp().view(-1, states)
        assert torch.allclose(A, torch.arange(1.0, states + 1).expand_as(A))

    return check


ZERO, ONE = constant(0.0), constant(1.0)
NANO = dict(arch="nano", img_size=32, num_frames=4)
TWO = {"video": {"mlp": True}, "text": {}}
EMBED, D = 64, 256  # channels of nano, and of a neck


def vision_mamba(depth, **changed):
    """The blocks of VideoMamba at d = 64; delta starts at softplus(0)."""
    return {
        r"mixer\.(in_proj|x_proj|x_proj_b)\.weight": normal(0.02),
        r"mixer\.dt_proj(_b)?\.weight": normal(0.02),
        r"mixer\.dt_proj(_b)?\.bias": ZERO,
        r"mixer\.out_proj\.weight": uniform((128 * depth) ** -0.5),
        r"mixer\.conv1d(_b)?\.(weight|bias)": default(4),
        r"mixer\.A(_b)?_log": one_to_n(16),
        r"mixer\.D(_b)?|norm\.weight|norm_f\.weight": ONE,
    } | changed


def mamba(d_model, d_state, prefix):
    """A mixer that nobody starts anew: Mamba's own delta, PyTorch's layers."""
    return {
        prefix + r"\.(in_proj)\.weight": default(d_model),
        prefix + r"\.(x_proj|out_proj)\.weight": default(2 * d_model),
        prefix + r"\.dt_proj\.weight": uniform((d_model / 16) ** -0.5),
        prefix + r"\.dt_proj\.bias": small_delta,
        prefix + r"\.conv1d\.(weight|bias)": default(4),
        prefix + r"\.A_log": one_to_n(d_state),
        prefix + r"\.D": ONE,
    }


RANGE = {
    r"mixer\.dt_proj(_b)?\.weight": uniform(0.5),  # rank 4
    r"mixer\.dt_proj(_b)?\.bias": small_delta,
}
VIDEO = {
    r"cls_token|temporal_pos_embedding": ZERO,
    r"pos_embed": normal(0.02),
    r"patch_embed\.proj\.(weight|bias)": default(768),
}
LINEAR = {  # of a Transformer
    r".*(qkv|proj|proj_q|proj_kv|fc|fc1|fc2|c_fc|c_proj)\.weight": normal(0.02),
    r".*(in_proj_weight)": normal(0.02),
    r".*(qkv|proj|proj_q|proj_kv|fc|fc1|fc2|c_fc|c_proj)\.bias": ZERO,
    r".*in_proj_bias": ZERO,
    r".*(norm|norm1|norm2|norm3|ln_1|ln_2|ln_pre|ln_post)\.weight": ONE,
    r".*(norm|norm1|norm2|norm3|ln_1|ln_2|ln_pre|ln_post)\.bias": ZERO,
}
MOTION = {
    r"cls_token|pos_embed": normal(0.02),
    r"temp_embed": ZERO,
    r"patch_embed_3d\.proj\.(weight|bias)": default(1536),
}
STREAM_MLP = {
    r"inputs\.mlps\.video\.[02]\.weight": normal((2 / D) ** 0.5),
    r"inputs\.mlps\.video\.4\.weight": normal(D**-0.5),
    r"inputs\.mlps\.video\.[24]\.bias": ZERO,
}
HASHED = dict(type="HashedWords", dims=D)


def mixed(kind):
    return CLSMixFusion(dict(type=kind), embed_dims=D, d_state=8)


CLS_MIX = mamba(D, 8, r"layers\.0\.mixer") | {
    r"modality_embed": normal(0.02),
    r"layers\.0\.norm\.weight|norm_f\.weight": ONE,
}
BOXES = {
    r".*box_categories": ZERO,
    r".*(patch_to_d|c_coord_to_feature)\.[02]\.weight": normal(0.02),
}
STARTS = {
    "VideoMamba": (lambda: VideoMamba(**NANO), vision_mamba(4) | VIDEO),
    "VideoMamba, Mamba's delta": (
        lambda: VideoMamba(**NANO, reset_dt=False),
        vision_mamba(4, **RANGE) | VIDEO,
    ),
    "SkeletonMamba": (
        lambda: SkeletonMamba("nano", num_frames=8, tokens="hand"),
        vision_mamba(4, **RANGE)
        | {
            r"cls_token": ZERO,
            r"pos_embed|temporal_pos_embedding": normal(0.02),
            r"joint_embed\.weight": default(84),
            r"joint_embed\.bias": ZERO,
        },
    ),
    "CLIPViT": (
        lambda: CLIPViT(**NANO),
        {
            r"class_embedding|positional_embedding": normal(0.02),
            r"temporal_embedding": ZERO,
            r"conv1\.weight": default(768),
        }
        | LINEAR,
    ),
    "CLIPTimeSformer": (
        lambda: CLIPTimeSformer(**NANO),
        {
            r"cls_token|pos_embed": normal(0.02),
            r"temporal_embed": ZERO,
            r"patch_embed\.proj\.weight": default(768),
            r".*timeattn\.(qkv\.(weight|bias)|proj\.bias)": ZERO,
            r".*timeattn\.proj\.weight": ONE,
            r"blocks.*(attn\.(qkv|proj)|fc1)\.(weight|bias)": default(EMBED),
            r"blocks.*fc2\.(weight|bias)": default(4 * EMBED),
        }
        | LINEAR,
    ),
    "Motionformer": (lambda: Motionformer(**NANO), MOTION | LINEAR),
    "ORViT": (lambda: ORViT(**NANO), BOXES | MOTION | LINEAR),
    "InAViT": (
        lambda: InAViT(**NANO, with_motion=True, infuse_context=True),
        {r".*(q|kv)\.weight": normal(0.02), r".*(q|kv)\.bias": ZERO}
        | BOXES
        | MOTION
        | LINEAR,
    ),
    "naive mix": (
        lambda: mixed("NaiveMix"),
        CLS_MIX | {r"mix\.cls_token": normal(0.02)},
    ),
    "weighted mix": (lambda: mixed("WeightedMix"), CLS_MIX | {r"mix\.omega": ZERO}),
    "context mix": (
        lambda: mixed("ContextMix"),
        CLS_MIX | mamba(D, 16, r"mix\.mixer"),
    ),
    "shared SSM": (
        lambda: SharedSSMFusion(D, streams=TWO, d_state=8),
        mamba(D, 8, r"layers\.0\.mixers\.(video|text)")
        | {r"layers\.0\.A_log": one_to_n(8)}
        | STREAM_MLP,
    ),
    "separate SSM": (
        lambda: SharedSSMFusion(
            D, streams=TWO, d_state=8, share_A=False, with_norm=True
        ),
        mamba(D, 8, r"layers\.0\.mixers\.(video|text)")
        | {r"(layers\.0\.)?norms\.(video|text)\.weight": ONE}
        | STREAM_MLP,
    ),
    "Transformer fusion": (
        lambda: TransformerFusion(D, streams=TWO, depth=2, num_positions=8),
        {
            r"cls_token|pos_embed|modality_embed": normal(0.02),
            r"blocks.\d.mlp\.[02]\.weight": normal(0.02),
            r"blocks.\d.mlp\.[02]\.bias": ZERO,
        }
        | LINEAR
        | STREAM_MLP,
    ),
    "MLP fusion": (
        lambda: MLPFusion(D, streams=TWO),
        {r"fc[12]\.(weight|bias)": default(2 * D)} | STREAM_MLP,
    ),
    "classification": (
        lambda: ClassificationHead(100, D),
        {r"fc\.weight": normal(0.02), r"fc\.bias": ZERO},
    ),
    "classification, more": (
        lambda: ClassificationHead(100, D, init_std=0.15),
        {r"fc\.weight": normal(0.15), r"fc\.bias": ZERO},
    ),
    "answer": (
        lambda: AnswerHead(["cut", "wash"], D, embedder=HASHED),
        {
            r"fc\.weight": normal(D**-0.5),
            r"fc\.bias": ZERO,
            r"logit_scale": constant(math.log(1 / 0.07)),
        },
    ),
}


@pytest.mark.parametrize("name", STARTS)
def test_every_parameter_starts_as_stated(name):
    build, starts = STARTS[name]
    found = {pattern: [] for pattern in starts}
    for key, value in build().named_parameters():
        pattern = next(
            (p for p in starts if re.fullmatch(rf"(layers\.\d\.)?({p})", key)), None
        )
        assert pattern is not None, f"{key} has no stated start"
        found[pattern].append(value.detach().flatten())
    for pattern, check in starts.items():
        if found[pattern]:
            check(torch.cat(found[pattern]))
