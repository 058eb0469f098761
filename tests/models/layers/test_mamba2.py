"""Mamba-2's mixer: a loop of its own, streams, padding, transformers' layer."""

import pytest
import torch
import torch.nn.functional as F

from mmfusion.models.layers import Mamba2Mixer, MambaBlock, build_mixer
from tests.models.backbones.generated_weights import fill_by_rule

EXACT = dict(rtol=0, atol=1e-10)
SIZES = dict(d_state=6, head_dims=4, chunk=4)


def mixer(**options):
    torch.manual_seed(0)
    layer = Mamba2Mixer(8, **SIZES, **options).double()
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return layer


def loop(layer, x, suffix=""):
    """y before the gate of one direction, one token and one head at a time."""
    weight = dict(layer.named_parameters())
    if suffix:
        x = x.flip(1)
    joined = F.linear(x, weight["in_proj.weight"])[..., 16:]
    inputs, dt = joined[..., :28], joined[..., 28:]
    filters, bias = weight[f"conv1d{suffix}.weight"], weight[f"conv1d{suffix}.bias"]
    outputs = []
    state = x.new_zeros(x.shape[0], 4, 4, 6)
    for t in range(x.shape[1]):
        seen = bias.clone()
        for back in range(min(4, t + 1)):
            seen = seen + filters[:, 0, 3 - back] * inputs[:, t - back]
        u, B, C = F.silu(seen).split([16, 6, 6], -1)
        u, y, following = u.unflatten(-1, (4, 4)), [], []
        for head in range(4):
            delta = F.softplus(dt[:, t, head] + weight[f"dt_bias{suffix}"][head])
            decay = torch.exp(-delta * weight[f"A{suffix}_log"][head].exp())
            step = (delta[:, None] * u[:, head]).unsqueeze(-1) * B.unsqueeze(1)
            now = decay[:, None, None] * state[:, head] + step
            following.append(now)
            skip = weight[f"D{suffix}"][head] * u[:, head]
            y.append((now * C.unsqueeze(1)).sum(-1) + skip)
        state = torch.stack(following, 1)
        outputs.append(torch.cat(y, -1))
    y = torch.stack(outputs, 1)
    return y.flip(1) if suffix else y


@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
def test_equals_a_loop(both):
    layer, x = mixer(bidirectional=both), torch.randn(2, 9, 8).double()
    y = loop(layer, x) + (loop(layer, x, "_b") if both else 0)
    z = layer.in_proj(x)[..., :16]
    y = y * F.silu(z)
    y = y / (y.square().mean(-1, keepdim=True) + 1e-5).sqrt() * layer.norm.weight
    torch.testing.assert_close(layer(x), layer.out_proj(y), **EXACT)


def test_a_stream_and_every_gradient():
    block = MambaBlock(mixer(), 8).double()
    x = torch.randn(2, 7, 8).double()
    state, hidden, residual, parts = block.mixer.allocate_state(2), None, None, []
    for t in range(7):
        hidden, residual, state = block.step(x[:, t], None, state)
        parts.append(hidden)
    whole, _ = block(x, None)
    torch.testing.assert_close(torch.stack(parts, 1), whole, **EXACT)
    whole.square().sum().backward()
    assert all(p.grad.abs().any() for p in block.parameters())


@pytest.mark.parametrize("kind", ["mamba", "mamba2"])
def test_padding_changes_no_row(kind):
    layer = build_mixer(kind, 8, d_state=4, head_dims=4, bidirectional=True).double()
    fill_by_rule(layer)
    mask = torch.arange(6) < torch.tensor([[6], [4]])
    x = torch.randn(2, 6, 8).double() * mask.unsqueeze(-1)
    y = layer(x, mask=mask)
    torch.testing.assert_close(y[:1], layer(x[:1]), **EXACT)
    torch.testing.assert_close(y[1:, :4], layer(x[1:, :4]), **EXACT)


def test_equals_transformers_with_the_published_names():
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer as Published

    config = Mamba2Config(
        hidden_size=8, num_heads=4, head_dim=4, state_size=6, n_groups=1, expand=2,
        conv_kernel=4, chunk_size=4, use_conv_bias=True, use_bias=False,
    )  # fmt: skip
    ours, theirs = mixer(), Published(config, layer_idx=0).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 9, 8).double()
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match="head_dims=5"):
        Mamba2Mixer(8, head_dims=5)
    with pytest.raises(ValueError, match="dt_rank=2"):
        build_mixer("mamba2", 8, d_state=4, dt_rank=2)
    with pytest.raises(ValueError, match="bidirectional"):
        mixer(bidirectional=True).allocate_state(1)
    with pytest.raises(ValueError, match="A_log is not given"):
        mixer(with_A=False)(torch.randn(1, 2, 8).double())
