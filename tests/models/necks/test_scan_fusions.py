"""Contracts of the fusions by scans beside MambaVL's: padding, missing streams."""

from functools import partial

import pytest
import torch

from mmfusion.models import CoupledMambaFusion, CrossModalScanFusion, SharedSSMFusion
from mmfusion.models.necks.coupled_mamba_fusion import align_steps
from mmfusion.ops import coupled_scan_reference
from mmfusion.structures import TokenFeatures

D = 8
EXACT = dict(rtol=0, atol=1e-10)
MAMBA2 = dict(mixer="mamba2", head_dims=4)
NECKS = {
    "Coupled Mamba": CoupledMambaFusion,
    "ViM": partial(CrossModalScanFusion, num_blocks=2),
    "ViM by Mamba-2": partial(CrossModalScanFusion, num_blocks=2, **MAMBA2),
    "MambaVL by Mamba-2": partial(SharedSSMFusion, with_norm=True, **MAMBA2),
}


@pytest.fixture(scope="module", params=NECKS, ids=NECKS)
def neck(request):
    """A neck whose parameters differ, those too that start equal."""
    torch.manual_seed(0)
    neck = NECKS[request.param](D, d_state=4).double().eval()
    with torch.no_grad():
        for value in neck.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return neck


def features(rows=2, video=6, text=4):
    torch.manual_seed(1)
    tokens = torch.randn(rows, video, D).double(), torch.randn(rows, text, D).double()
    cls = torch.randn(rows, D).double()
    return {
        "video": TokenFeatures(tokens[0], cls, torch.ones(rows, video).bool()),
        "text": TokenFeatures(tokens[1], None, torch.ones(rows, text).bool()),
    }


def row(feats, index, **lengths):
    """One sample by itself, its padding cut off where its lengths are given."""
    found = {}
    for name, one in feats.items():
        at, stop = slice(index, index + 1), lengths.get(name)
        cls = None if one.cls is None else one.cls[at]
        found[name] = TokenFeatures(one.tokens[at, :stop], cls)
    return found


def test_a_padded_batch_equals_its_samples(neck):
    feats = features()
    for name, length in (("video", 4), ("text", 2)):
        feats[name].mask[1, length:] = False
    y = neck(feats)
    assert y.shape == (2, D)
    torch.testing.assert_close(y[:1], neck(row(feats, 0)), **EXACT)
    alone = neck(row(feats, 1, video=4, text=2))
    torch.testing.assert_close(y[1:], alone, **EXACT)


@pytest.mark.parametrize("lacking", ["video", "text"])
def test_a_lacking_stream_is_not_read(neck, lacking):
    """Whatever stands in its tokens; and the other sample is as it was."""
    feats, others = features(), features()
    for given in (feats, others):
        given[lacking].mask[0] = False
    others[lacking].tokens[0] += 1
    if lacking == "video":
        others[lacking].cls[0] += 1
    y = neck(feats)
    torch.testing.assert_close(y, neck(others), **EXACT)
    torch.testing.assert_close(y[1:], neck(row(feats, 1)), **EXACT)
    assert y[0].abs().max() > 1e-3


def test_two_questions_a_clip_and_every_gradient(neck):
    feats = features(rows=4)
    feats["video"] = features(rows=2)["video"]
    y = neck(feats)
    torch.testing.assert_close(
        y[3:], neck(row(feats, 1) | {"text": row(feats, 3)["text"]}), **EXACT
    )
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().any() for p in neck.parameters())
    neck.zero_grad()


def test_a_cross_modal_scan_by_hand():
    """Text stands before video, each with its type; the mean is over the video."""
    torch.manual_seed(0)
    neck = CrossModalScanFusion(D, streams=dict(video={}, text={}), num_blocks=1)
    feats, seen = features(), []
    feats = {n: TokenFeatures(x.tokens.float(), None) for n, x in feats.items()}
    neck.eval().layers[0].register_forward_pre_hook(lambda _, args: seen.append(args))
    y, (video, text) = neck(feats), neck.modality_embed
    x = torch.cat([feats["text"].tokens + text, feats["video"].tokens + video], 1)
    torch.testing.assert_close(seen[0][0], x)
    hidden, residual = neck.layers[0](x, None)
    torch.testing.assert_close(y, neck.norm_f(hidden + residual)[:, 4:].mean(1))


def test_a_coupled_layer_by_the_loop():
    """Its scan is the reference's, between norm, gate, out_proj and residual."""
    torch.manual_seed(0)
    neck = CoupledMambaFusion(D, streams=dict(video={}, text={}), num_layers=1).double()
    layer, xs = neck.layers[0], {n: x.tokens for n, x in features().items()}
    steps, count = align_steps({n: x.mask for n, x in features().items()})
    assert count == 6
    assert steps["text"].tolist() == [[0, 1, 3, 4]] * 2
    mixers = layer.mixers
    given = {n: mixers[n].scan_inputs(layer.norms[n](x)) for n, x in xs.items()}
    inputs = [one for one, _ in given.values()]
    ys = coupled_scan_reference(inputs, [*steps.values()], count)
    for (name, y), expected in zip(layer(xs, steps, count).items(), ys, strict=True):
        gated = expected * torch.nn.functional.silu(given[name][1])
        mixed = xs[name] + mixers[name].out_proj(gated)
        torch.testing.assert_close(y, mixed, **EXACT)
