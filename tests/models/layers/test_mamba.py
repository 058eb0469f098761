import copy
import sys
import tracemalloc

import pytest
import torch
from torch import nn

from mmfusion.models.layers import (
    MambaBlock,
    MambaMixer,
    build_blocks,
    forward_blocks,
    step_blocks,
)
from mmfusion.ops import available_backends, scan_backend
from tests.models.backbones.generated_weights import fill_by_rule
from tests.tolerances import FORWARD

PARAMETERS = {192: 251_520, 384: 963_840, 576: 2_136_960, 768: 3_770_880}


def one_direction(mixer: MambaMixer, suffix: str) -> MambaMixer:
    """A one-directional mixer with the parameters of one of the two directions."""
    single = MambaMixer(mixer.in_proj.in_features)
    own = mixer.state_dict()
    names = ["conv1d{}.weight", "conv1d{}.bias", "x_proj{}.weight", "D{}"]
    names += ["dt_proj{}.weight", "dt_proj{}.bias", "A{}_log"]
    state = {name.format(""): own[name.format(suffix)] for name in names}
    state |= {name: own[name] for name in ("in_proj.weight", "out_proj.weight")}
    single.load_state_dict(state)
    return single


@pytest.mark.parametrize("width", PARAMETERS)
def test_parameter_counts_of_stock_mamba(width):
    with torch.device("meta"):
        mixer = MambaMixer(width)
    assert sum(p.numel() for p in mixer.parameters()) == PARAMETERS[width]


def test_bidirectional_equals_two_directions_by_hand():
    mixer = MambaMixer(16, bidirectional=True).double()
    fill_by_rule(mixer)  # D and D_b start equal, and A too
    x = torch.randn(2, 21, 16, dtype=torch.float64)
    ahead = one_direction(mixer, "").double()(x)
    back = one_direction(mixer, "_b").double()(x.flip(1)).flip(1)
    torch.testing.assert_close(mixer(x), ahead + back, **FORWARD[torch.float64])
    mixer.divide_out = True
    torch.testing.assert_close(mixer(x), (ahead + back) / 2, **FORWARD[torch.float64])


def test_one_direction_is_causal_and_two_are_not():
    x = torch.randn(1, 12, 16)
    changed = x.clone()
    changed[:, -1] += 1
    causal, both = MambaMixer(16), MambaMixer(16, bidirectional=True)
    assert torch.equal(causal(x)[:, :-1], causal(changed)[:, :-1])
    assert not torch.equal(both(x)[:, 0], both(changed)[:, 0])


def test_backends_agree_in_a_block():
    block = MambaBlock(MambaMixer(16, bidirectional=True), 16).double()
    x = torch.randn(2, 9, 16, dtype=torch.float64)
    outputs = []
    for backend in ("torch", "reference"):
        with scan_backend(backend):
            outputs.append(block(x, None)[0])
    torch.testing.assert_close(*outputs, **FORWARD[torch.float64])


def test_residual_of_blocks_by_hand():
    blocks = nn.ModuleList(MambaBlock(nn.Identity(), 4) for _ in range(2))
    fill_by_rule(blocks, scale=1.0)
    x = torch.randn(1, 3, 4)
    norm = nn.RMSNorm(4, eps=1e-5)
    first = x + blocks[0].norm(x)
    expected = norm(first + blocks[1].norm(first))
    y = forward_blocks(x, blocks, norm, nn.Identity())
    torch.testing.assert_close(y, expected)


def test_autocast_keeps_what_matters_in_float32(monkeypatch):
    seen = {}

    def spy(*args, **kwargs):
        seen["A"], seen["delta"], seen["bias"] = (args[i].dtype for i in (2, 1, 7))
        return args[0]

    module = sys.modules["mmfusion.ops.mamba_inner"]
    monkeypatch.setattr(module, "selective_scan", spy)
    with torch.autocast("cpu", torch.bfloat16), scan_backend("torch"):
        y = MambaMixer(16)(torch.randn(1, 5, 16))
    assert y.dtype == torch.bfloat16
    assert set(seen.values()) == {torch.float32}


def test_a_stream_of_tokens_equals_the_whole_sequence():
    blocks, last = build_blocks(16, 2, bidirectional=False)
    fill_by_rule(nn.ModuleList(blocks))
    norm = torch.nn.RMSNorm(16, eps=1e-5)
    x = torch.randn(2, 70, 16)
    states = [block.mixer.allocate_state(2) for block in blocks]
    outputs = []
    for token in x.unbind(1):
        y, states = step_blocks(token, blocks, states, norm, last)
        outputs.append(y)
    whole = forward_blocks(x, blocks, norm, last)
    torch.testing.assert_close(torch.stack(outputs, 1), whole, **FORWARD[torch.float32])


@torch.no_grad()
def test_memory_of_a_stream_is_constant():
    mixer = MambaMixer(8, d_state=4)
    state = mixer.allocate_state(1)
    sizes = {sum(part.untyped_storage().nbytes() for part in state)}
    x = torch.randn(1, 8)
    for step in range(1_000):
        if step == 500:
            tracemalloc.start()
        elif step == 600:
            before = tracemalloc.get_traced_memory()[0]
        _, state = mixer.step(x, state)
        sizes.add(sum(part.untyped_storage().nbytes() for part in state))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(sizes) <= 2  # a step's convolution state is a view of one token more
    assert grown < 10_000  # bytes of Python objects, in 400 steps
    assert all(part.isfinite().all() for part in state)


def test_streaming_needs_one_direction():
    with pytest.raises(ValueError, match="bidirectional=False"):
        MambaMixer(8, bidirectional=True).allocate_state(1)


@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize("length", [1, 40])
def test_equals_hugging_face(backend, length):
    """Its slow path, with the same weights under the same names."""
    mamba = pytest.importorskip("transformers.models.mamba.modeling_mamba")
    config = mamba.MambaConfig(
        hidden_size=16, state_size=8, num_hidden_layers=1, vocab_size=2
    )
    theirs, ours = mamba.MambaMixer(config, 0), MambaMixer(16, d_state=8)
    fill_by_rule(ours)
    assert theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, length, 16)
    results = []
    for mixer in (ours, theirs):
        leaf = x.clone().requires_grad_()
        with scan_backend(backend):
            y = mixer(leaf)
        names, leaves = zip(*mixer.named_parameters(), strict=True)
        grads = torch.autograd.grad(y.square().sum(), [leaf, *leaves])
        results.append(
            {"y": y, "x": grads[0]} | dict(zip(names, grads[1:], strict=True))
        )
    assert results[0].keys() == results[1].keys()
    for name, value in results[0].items():
        expected = results[1][name]
        limit = 1e-5 if name == "y" else 1e-4
        assert (value - expected).abs().max() <= limit * expected.abs().max(), name


class _Adapted(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base, self.weight = base, base.weight

    def forward(self, x):
        return self.base(x) + x.sum()


@pytest.mark.parametrize("name", ["conv1d", "x_proj", "dt_proj_b"])
def test_a_wrapper_that_would_be_bypassed_is_refused(name):
    mixer = MambaMixer(16, bidirectional=True)
    setattr(mixer, name, _Adapted(getattr(mixer, name)))
    with pytest.raises(TypeError, match=f"{name} of a MambaMixer is a _Adapted"):
        mixer(torch.zeros(1, 3, 16))


def test_a_parametrised_projection_is_read_as_it_is():
    class Double(nn.Module):
        def forward(self, weight):
            return 2 * weight

    x = torch.randn(1, 5, 16)
    mixer = MambaMixer(16)
    twice = copy.deepcopy(mixer)
    with torch.no_grad():
        twice.x_proj.weight *= 2
    nn.utils.parametrize.register_parametrization(mixer.x_proj, "weight", Double())
    torch.testing.assert_close(mixer(x), twice(x))


@pytest.mark.parametrize(("width", "rank"), [(8, 1), (16, 1), (24, 2), (64, 4)])
def test_the_rank_of_delta_is_rounded_up(width: int, rank: int) -> None:
    assert MambaMixer(width).dt_rank == rank
