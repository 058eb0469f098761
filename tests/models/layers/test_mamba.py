import pytest
import torch

from mmfusion.models.layers import MambaBlock, MambaMixer, forward_blocks
from mmfusion.ops import scan_backend
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
    blocks = [MambaBlock(torch.nn.Identity(), 4) for _ in range(2)]
    x = torch.randn(1, 3, 4)
    norm = torch.nn.RMSNorm(4, eps=1e-5)
    first = x + norm(x)
    expected = norm(first + norm(first))
    y = forward_blocks(x, blocks, norm, torch.nn.Identity())
    torch.testing.assert_close(y, expected)


def test_autocast_keeps_what_matters_in_float32():
    mixer = MambaMixer(16)
    seen = {}

    def spy(*args, **kwargs):
        seen["A"], seen["bias"] = args[2].dtype, args[7].dtype
        return args[0]

    import mmfusion.models.layers.mamba as module

    original, module.selective_scan = module.selective_scan, spy
    try:
        with torch.autocast("cpu", torch.bfloat16):
            mixer(torch.randn(1, 5, 16))
    finally:
        module.selective_scan = original
    assert seen == {"A": torch.float32, "bias": torch.float32}
