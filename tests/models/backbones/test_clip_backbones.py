"""CLIPViT and CLIPTimeSformer against figures of the authors' own code.

The figures are the CLS features of AVION's VisionTransformer and LaViLa's
SpaceTimeTransformer (commits 31b00b6 and 8002b5a), run unmodified with the weights and
the clips of ``generated_weights``.
"""

import pytest
import torch

from mmfusion.models import CLIPTimeSformer, CLIPViT
from tests.models.backbones.generated_weights import drawn, fill_by_rule
from tests.tolerances import FORWARD

BACKBONES = {"vit": CLIPViT, "timesformer": CLIPTimeSformer}
AUTHORS = {
    "vit": [
        [-0.4795635, -0.9508640, 1.0562106, -0.0000530, 1.1515152, 1.0369326],
        [-0.1258896, -0.9653425, 0.6919189, 0.5690393, 1.1510334, 1.4704293],
    ],
    "timesformer": [
        [-1.4446142, 1.4518557, -0.6085364, -0.3506805, 0.3396107, 0.0711941],
        [-1.5773827, 1.6788733, -0.7456413, -0.0367830, -0.0078856, -0.6872593],
    ],
}
SIZES = {
    ("vit", "base"): 85_811_712,
    ("vit", "large"): 303_196_160,
    ("timesformer", "base"): 114_178_560,
    ("timesformer", "large"): 404_006_912,
}


@pytest.fixture(params=BACKBONES)
def name(request):
    return request.param


def nano(name, **options):
    return BACKBONES[name]("nano", img_size=32, num_frames=3, **options)


def test_features_are_the_authors(name):
    model = nano(name).eval()
    fill_by_rule(model)
    with torch.no_grad():
        out = model(drawn("clip", (2, 3, 3, 32, 32)))
    expected = torch.tensor(AUTHORS[name])
    torch.testing.assert_close(out.cls[:, :6], expected, **FORWARD[torch.float32])


@pytest.mark.parametrize("key", SIZES, ids="-".join)
def test_sizes_of_the_published_models(key):
    name, arch = key
    with torch.device("meta"):
        model = BACKBONES[name](arch)
    assert sum(p.numel() for p in model.parameters()) == SIZES[key]


def test_shapes_mask_and_gradients(name):
    model = nano(name, drop_path_rate=0.1)
    mask = torch.tensor([[True, True, False], [False] * 3])
    out = model(torch.randn(2, 3, 3, 32, 32), mask)
    assert out.tokens.shape == (2, 12, 64) and out.cls.shape == (2, 64)
    assert out.mask.sum(1).tolist() == [8, 0]
    (out.tokens.sum() + out.cls.sum()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_recomputing_changes_nothing(name):
    clip = torch.randn(1, 3, 3, 32, 32)
    grads = []
    model = nano(name)
    for with_cp in (False, True):
        model.with_cp = with_cp
        model.zero_grad()
        model(clip).cls.sum().backward()
        grads.append([p.grad.clone() for p in model.parameters()])
    for plain, recomputed in zip(*grads, strict=True):
        torch.testing.assert_close(recomputed, plain)


def test_a_fresh_timesformer_reads_each_frame_alone():
    """Its time attention starts at zero: patches of a frame see that frame and CLS."""
    model = nano("timesformer").eval()
    block = model.blocks[0].timeattn
    assert not block.qkv.weight.any() and bool((block.proj.weight == 1).all())


@pytest.mark.parametrize(
    "options", [dict(arch="huge"), dict(img_size=30)], ids=["arch", "side"]
)
def test_wrong_arguments_raise(name, options):
    with pytest.raises(ValueError, match="expected"):
        BACKBONES[name](**{"arch": "nano", "img_size": 32, **options})


def test_wrong_clip_and_activation_raise(name):
    with pytest.raises(ValueError, match=r"expected \(b, 3, 3, 32, 32\)"):
        nano(name)(torch.randn(1, 3, 4, 32, 32))
    with pytest.raises(ValueError, match="quick_gelu"):
        CLIPViT("nano", img_size=32, act="relu")
