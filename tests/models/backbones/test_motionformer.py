"""Motionformer and ORViT against figures of the authors' own code.

The figures are CLS features of ORViT's ``Motionformer`` class (commit 3bfd2c7), run
unmodified with the weights, clips and boxes of this file; it had torchvision's RoIAlign
as scalar loops.
"""

import pytest
import torch

from mmfusion.models import Motionformer, ORViT
from mmfusion.models.backbones.orvit import coverage, roi_align
from tests.models.backbones.generated_weights import drawn, fill_by_rule
from tests.tolerances import FORWARD

FRAMES = 4
AUTHORS = {
    (Motionformer, 32): [
        [0.3129416, -0.2838602, 0.6078829, 0.0911730, 0.1916619, -0.5985079],
        [-0.4648138, -0.7583388, 0.3443773, -0.7396563, 0.3335623, -0.6661755],
    ],
    (Motionformer, 48): [
        [0.3458412, -0.0223849, 0.4174059, -0.8217022, 0.5502769, -0.3735215],
        [-0.5526975, -0.8113266, 0.8257368, -0.4599710, 0.7835080, -0.3015069],
    ],
    (ORViT, 32): [
        [-0.0238354, -0.5751063, 0.6509791, -0.1529759, 0.0120870, -0.2964033],
        [-0.4946294, -0.8203130, 0.3808816, -0.7741844, 0.1641637, -0.6266927],
    ],
    (ORViT, 48): [
        [0.0305611, 0.0329860, 0.5966499, -0.8608005, 0.5530873, -0.2484429],
        [-0.6595258, -0.7563802, 0.8153486, -0.5534307, 0.6997384, -0.1075848],
    ],
}


def make_boxes(batch=2):
    """Corners in 0..1, (b, t, 4, 4): one box a frame is the image, some are absent."""
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(batch, FRAMES, 4, 4, generator=generator)
    low = torch.minimum(corners[..., :2], corners[..., 2:])
    high = torch.maximum(corners[..., :2], corners[..., 2:])
    boxes = torch.cat([low, high], -1)
    generator = torch.Generator().manual_seed(2)
    boxes[:, :, 3] *= torch.rand(batch, FRAMES, 1, generator=generator) > 0.5
    boxes[:, 0, 0] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    return boxes


def nano(kind, img_size=32, **options):
    return kind("nano", img_size=img_size, num_frames=FRAMES, **options)


@pytest.mark.parametrize(
    ("kind", "img_size"), AUTHORS, ids=lambda x: getattr(x, "__name__", x)
)
def test_features_are_the_authors(kind, img_size):
    model = nano(kind, img_size).eval()
    fill_by_rule(model)
    more = {"boxes": make_boxes()} if kind is ORViT else {}
    with torch.no_grad():
        out = model(drawn("clip", (2, 3, FRAMES, img_size, img_size)), **more)
    expected = torch.tensor(AUTHORS[kind, img_size])
    torch.testing.assert_close(out.cls[:, :6], expected, **FORWARD[torch.float32])


@pytest.mark.parametrize(
    ("kind", "size"), [(Motionformer, 108246528), (ORViT, 147_373_056)]
)
def test_sizes_of_the_published_models(kind, size):
    """ORViT with its two heads (305,293): 148 M, as paper B's table 4 has it."""
    with torch.device("meta"):
        model = kind("base")
    assert sum(p.numel() for p in model.parameters()) == size


@pytest.mark.parametrize("kind", [Motionformer, ORViT])
def test_shapes_mask_and_gradients(kind):
    model = nano(kind, drop_path_rate=0.1)
    mask = torch.tensor([[True] * 3 + [False], [False] * 4])
    more = {"boxes": make_boxes()} if kind is ORViT else {}
    out = model(torch.randn(2, 3, FRAMES, 32, 32), mask, **more)
    assert out.tokens.shape == (2, 8, 64) and out.cls.shape == (2, 64)
    assert out.mask.sum(1).tolist() == [8, 0]
    (out.tokens.sum() + out.cls.sum()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_values_as_in_the_paper_are_another_model():
    clip = drawn("clip", (1, 3, FRAMES, 32, 32))
    models = [nano(Motionformer, published_attention=flag) for flag in (True, False)]
    for model in models:
        fill_by_rule(model.eval())
    published, paper = (model(clip).cls for model in models)
    assert (published - paper).abs().max() > 1e-3


@pytest.mark.parametrize("kind", [Motionformer, ORViT])
def test_recomputing_changes_nothing(kind):
    model, clip = nano(kind), torch.randn(2, 3, FRAMES, 32, 32)
    more = {"boxes": make_boxes()} if kind is ORViT else {}
    grads = []
    for with_cp in (False, True):
        model.with_cp = with_cp
        model.zero_grad()
        model(clip, **more).cls.sum().backward()
        grads.append([p.grad.clone() for p in model.parameters()])
    for plain, recomputed in zip(*grads, strict=True):
        torch.testing.assert_close(recomputed, plain)


def test_without_boxes_the_plain_motionformer_runs_and_says_so(log_lines):
    model, plain = nano(ORViT).eval(), nano(Motionformer).eval()
    fill_by_rule(model)
    plain.load_state_dict(model.state_dict(), strict=False)
    clip = drawn("clip", (1, 3, FRAMES, 32, 32))
    for _ in range(2):
        torch.testing.assert_close(model(clip).cls, plain(clip).cls)
    assert len(log_lines) == 1 and "runs as the plain Motionformer" in log_lines[0]


def test_a_masked_box_is_a_missing_box():
    model = nano(ORViT).eval()
    fill_by_rule(model)
    clip, boxes = drawn("clip", (2, 3, FRAMES, 32, 32)), make_boxes()
    mask = torch.ones(2, FRAMES, 4, dtype=torch.bool)
    mask[:, :, 2] = False
    mask[0, 0, 0] = mask[1, 2, 1] = False  # in one frame only
    zeroed = boxes * mask.unsqueeze(-1)
    masked = model(clip, boxes=boxes, boxes_mask=mask).cls
    torch.testing.assert_close(masked, model(clip, boxes=zeroed).cls)
    fewer = model(clip, boxes=boxes[:, :, :2]).cls
    zeroed = boxes.clone()
    zeroed[:, :, 2:] = 0
    torch.testing.assert_close(fewer, model(clip, boxes=zeroed).cls)


def test_boxes_follow_the_precision_of_the_weights():
    model = nano(ORViT)
    clip, boxes = drawn("clip", (2, 3, FRAMES, 32, 32)), make_boxes()
    single = model(clip, boxes=boxes).cls
    exact = model.double()(clip.double(), boxes=boxes).cls  # boxes float32 as loaded
    assert exact.dtype == torch.float64
    torch.testing.assert_close(exact.float(), single)


def test_crop_of_the_whole_map_is_the_map():
    maps = torch.randn(1, 2, 4, 4)
    boxes = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.9]]])
    crops = roi_align(maps, boxes)
    torch.testing.assert_close(crops[:, 0], maps)
    assert not crops[:, 1].any()


def test_coverage_by_hand():
    """x1 = 0.25 and x2 = 0.5: the released code covers 0.25 to 0.75."""
    boxes = torch.tensor([[0.25, 0.0, 0.5, 1.0], [0.0, 0.0, 0.0, 0.0]])
    cover = coverage(boxes, 2, 5)  # columns at 0, 0.25, 0.5, 0.75, 1
    assert cover[0].tolist() == [[0, 1, 1, 1, 0]] * 2
    assert not cover[1].any()


@pytest.mark.parametrize(
    "boxes",
    [
        torch.zeros(2, 3, 4, 4),
        torch.zeros(2, FRAMES, 5, 4),
        torch.full((2, 4, 4, 4), 2),
    ],
    ids=["frames", "too many", "pixels"],
)
def test_wrong_boxes_raise(boxes):
    with pytest.raises(ValueError, match="boxes"):
        nano(ORViT)(torch.randn(2, 3, FRAMES, 32, 32), boxes=boxes.float())


@pytest.mark.parametrize(
    "options", [dict(arch="huge"), dict(img_size=30), dict(num_frames=3)]
)
def test_wrong_arguments_raise(options):
    with pytest.raises(ValueError, match="expected one of|must be a multiple"):
        Motionformer(**{"arch": "nano", "img_size": 32, **options})
