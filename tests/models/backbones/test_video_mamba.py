"""VideoMamba against figures of the authors' own code.

The figures are CLS features of VideoMamba's ``VisionMamba`` (commit f3427e4), run
unmodified in float64 with the weights and the clips of ``generated_weights``; it had
its CUDA operators (scan, convolution, norm) as plain PyTorch.
"""

import sys

import pytest
import torch

from mmfusion.models import VideoMamba
from mmfusion.ops import available_backends, scan_backend
from tests.models.backbones.generated_weights import drawn, fill_by_rule
from tests.models.recomputing import assert_recomputes
from tests.tolerances import FORWARD

AUTHORS = {  # by the side of a frame and the frames of a patch
    (32, 1): [
        [-1.805065626995, 0.003719202491, 0.470702271703, -0.444411150132],
        [-1.807640861951, 0.130675885577, 0.367536787029, -0.510555741352],
    ],
    (48, 2): [
        [-1.611399676923, 0.066406807970, 0.524129651690, -0.511249896449],
        [-1.748196828331, 0.065713905610, 0.420884288504, -0.499862205937],
    ],
}
SIZES = {
    "nano": 225_536,
    "tiny": 6_956_544,
    "small": 25_414_656,
    "middle": 73_645_056,
    "base": 96_835_584,
}


@pytest.fixture
def model():
    return VideoMamba(arch="nano", img_size=32, num_frames=4).eval()


@pytest.mark.parametrize(("side", "tubelet_size"), AUTHORS)
def test_features_are_the_authors(side, tubelet_size):
    model = VideoMamba("nano", img_size=side, num_frames=4, tubelet_size=tubelet_size)
    fill_by_rule(model.double().eval())
    with torch.no_grad():
        out = model(drawn("clip", (2, 3, 4, side, side)).double())
    expected = torch.tensor(AUTHORS[side, tubelet_size], dtype=torch.float64)
    torch.testing.assert_close(out.cls[:, :4], expected, **FORWARD[torch.float64])


@pytest.mark.parametrize("arch", SIZES)
def test_published_sizes(arch):
    with torch.device("meta"):
        model = VideoMamba(arch=arch)
    assert sum(p.numel() for p in model.parameters()) == SIZES[arch]


def test_published_keys_and_shapes():
    with torch.device("meta"):
        state = VideoMamba(arch="tiny").state_dict()
    expected = {
        "cls_token": (1, 1, 192),
        "pos_embed": (1, 197, 192),
        "temporal_pos_embedding": (1, 8, 192),
        "patch_embed.proj.weight": (192, 3, 1, 16, 16),
        "layers.23.mixer.A_b_log": (384, 16),
        "layers.23.mixer.D_b": (384,),
        "layers.0.mixer.conv1d_b.weight": (384, 1, 4),
        "layers.0.mixer.x_proj_b.weight": (44, 384),
        "layers.0.mixer.dt_proj.bias": (384,),
        "layers.0.mixer.in_proj.weight": (768, 192),
        "layers.0.norm.weight": (192,),
        "norm_f.weight": (192,),
    }
    assert {key: tuple(state[key].shape) for key in expected} == expected
    assert len(state) == 6 + 24 * 17


def test_shapes_and_mask(model):
    mask = torch.tensor([[True, True, True, False], [False] * 4])
    out = model(torch.randn(2, 3, 4, 32, 32), mask)
    assert out.tokens.shape == (2, 16, 64) and out.cls.shape == (2, 64)
    assert out.mask.sum(1).tolist() == [12, 0]


def test_a_tube_is_real_where_one_of_its_frames_is():
    model = VideoMamba("nano", img_size=32, num_frames=6, tubelet_size=3).eval()
    mask = torch.tensor([[True, False, False, False, False, False]])
    out = model(torch.randn(1, 3, 6, 32, 32), mask)
    assert out.mask[0].tolist() == [True] * 4 + [False] * 4


def test_recomputing_changes_nothing_and_keeps_less():
    model = VideoMamba("nano", img_size=64, num_frames=4, drop_path_rate=0.3)
    assert_recomputes(model, torch.randn(2, 3, 4, 64, 64))


def test_halved_directions_equal_halved_projections():
    clip = drawn("clip", (1, 3, 4, 32, 32))
    halved, plain = (
        VideoMamba("nano", img_size=32, num_frames=4, divide_out=divide_out).eval()
        for divide_out in (True, False)
    )
    plain.load_state_dict(halved.state_dict())
    with torch.no_grad():
        for block in plain.layers:
            block.mixer.out_proj.weight.div_(2)
        torch.testing.assert_close(
            halved(clip).cls, plain(clip).cls, **FORWARD[torch.float32]
        )


def test_the_last_frame_reaches_the_first_token(model):
    clip = torch.randn(1, 3, 4, 32, 32)
    changed = clip.clone()
    changed[:, :, -1] += 1
    before, after = model(clip), model(changed)
    assert not torch.equal(before.tokens[:, 0], after.tokens[:, 0])
    assert not torch.equal(before.cls, after.cls)


def test_positions_by_hand(model, monkeypatch):
    """Tokens are frame by frame; time is added to patches, never to the CLS token."""
    module = sys.modules[VideoMamba.__module__]
    monkeypatch.setattr(module, "forward_blocks", lambda x, *_: x)
    with torch.no_grad():
        model.patch_embed.proj.weight.zero_()
        model.patch_embed.proj.bias.zero_()
        model.temporal_pos_embedding.copy_(
            torch.arange(4.0).view(1, 4, 1).expand(1, 4, 64)
        )
        model.pos_embed.copy_(10 * torch.arange(5.0).view(1, 5, 1).expand(1, 5, 64))
    out = model(torch.zeros(1, 3, 4, 32, 32))
    assert out.cls[0, 0] == 0
    assert out.tokens[0, :6, 0].tolist() == [10, 20, 30, 40, 11, 21]


@pytest.mark.parametrize(
    "options",
    [dict(arch="huge"), dict(img_size=30), dict(num_frames=3, tubelet_size=2)],
    ids=["arch", "image", "tubelet"],
)
def test_wrong_arguments_raise(options):
    with pytest.raises(ValueError, match="expected one of|must be a multiple"):
        VideoMamba(**{"arch": "nano", **options})


def test_wrong_clip_raises(model):
    with pytest.raises(ValueError, match=r"\(1, 3, 5, 32, 32\)"):
        model(torch.randn(1, 3, 5, 32, 32))


def test_a_clip_of_another_kind_is_told_in_words() -> None:
    model = VideoMamba(arch="nano", num_frames=2, img_size=32)
    with pytest.raises(ValueError, match=r"expected \(b, 3, 2, 32, 32\)"):
        model(torch.zeros(1, 3, 2, 16, 16))
    with pytest.raises(ValueError, match="torch.uint8, expected floats; MultiModalPre"):
        model(torch.zeros(1, 3, 2, 32, 32, dtype=torch.uint8))


def test_blocks_are_recomputed_by_the_backend_of_their_forward(model):
    model.train().with_cp = True
    with scan_backend("torch"):
        loss = model(torch.randn(1, 3, 4, 32, 32)).cls.square().sum()
    loss.backward()  # where the block is left
    assert all(p.grad is not None for p in model.layers.parameters())


def test_blocks_are_recomputed_by_the_backend_of_the_environment(model, monkeypatch):
    monkeypatch.setenv("MMFUSION_SCAN_BACKEND", "torch")
    model.train().with_cp = True
    loss = model(torch.randn(1, 3, 4, 32, 32)).cls.square().sum()
    with scan_backend("cpu" if "cpu" in available_backends() else "reference"):
        loss.backward()
    assert all(p.grad is not None for p in model.layers.parameters())
