"""InAViT against figures of the authors' own code, and its published file.

The figures are CLS features of their ``Motionformer`` with ``HoIViT`` blocks (commit
a699dc8, the marks of an unfinished merge taken out), with the weights of
``generated_weights`` and the clips and boxes of this file, one clip at a time. It had
torchvision's RoIAlign as scalar loops. The forward at the root of that commit has
neither stream of boxes nor context; those are from the copies under ``build/lib``.
"""

import pytest
import torch

from mmfusion.models import InAViT, MultiModalRecognizer
from mmfusion.models.backbones.inavit import RegionAttention
from mmfusion.utils.errors import CheckpointError
from mmfusion.weights import fit
from mmfusion.weights.files import unwrap
from tests.models.backbones.generated_weights import drawn, fill_by_rule
from tests.models.backbones.test_motionformer import FRAMES, make_boxes
from tests.tolerances import FORWARD

AUTHORS = {
    "released": [
        [0.2090448, -0.2378887, 0.7001128, -0.0750147, 0.1170782, -0.5334027],
        [-0.1348786, -0.6970997, 0.0077667, -0.7374387, 0.3916852, -0.7141646],
    ],
    "two hands, 48 px": [
        [0.3807805, 0.2432265, 0.4683492, -0.8524414, 0.4563645, -0.4991651],
        [-0.4339609, -0.7826582, 0.8013113, -0.5370057, 0.7418572, -0.3601321],
    ],
    "motion": [
        [0.0875072, -0.2529938, 0.6735783, -0.0935912, 0.1013985, -0.5214738],
        [-0.2602707, -0.7059106, -0.0413093, -0.7515131, 0.3882823, -0.7239084],
    ],
    "context": [
        [0.3886773, -0.3190867, 0.4492725, -0.0037002, 0.4390281, -0.7056406],
        [0.1093751, -0.7313694, 0.1015702, -0.7046421, 0.5182672, -0.7837845],
    ],
}
OPTIONS = {
    "two hands, 48 px": dict(num_hands=2, num_objects=2, img_size=48),
    "motion": dict(with_motion=True),
    "context": dict(infuse_context=True),
}
CLIP = drawn("clip", (2, 3, FRAMES, 32, 32))


def nano(**options):
    return InAViT("nano", **{"img_size": 32, "num_frames": FRAMES, **options})


def regions(count=5):
    """Boxes (2, t, count, 4), the hand's first."""
    boxes = make_boxes()
    return torch.cat([boxes, boxes.flip(1)], dim=2)[:, :, :count]


@pytest.mark.parametrize("case", AUTHORS)
def test_features_are_the_authors(case):
    model = nano(**OPTIONS.get(case, {})).eval()
    fill_by_rule(model)
    size = model.input_shape[-1]
    with torch.no_grad():
        out = model(
            drawn("clip", (2, 3, FRAMES, size, size)), boxes=regions(model.num_boxes)
        )
    expected = torch.tensor(AUTHORS[case])
    torch.testing.assert_close(out.cls[:, :6], expected, **FORWARD[torch.float32])


def attended(module, x, y):
    """Cross-attention of one frame, by loops: (heads, n, e)."""
    heads, width = module.num_heads, x.shape[-1] // module.num_heads
    q, kv = module.q(x), module.kv(y)
    found = torch.zeros(heads, len(x), width, dtype=x.dtype)
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        k, v = kv[:, part], kv[:, x.shape[-1] :][:, part]
        for n in range(len(x)):
            weight = (k @ q[n, part] / width**0.5).exp()
            found[head, n] = (weight[:, None] * v).sum(0) / weight.sum()
    return found


@pytest.mark.parametrize("published", [True, False])
def test_regions_attend_as_loops_do(published):
    module = RegionAttention(8, 2, published).double()
    x, y = drawn("x", (3, 4, 8)).double(), drawn("y", (3, 5, 8)).double()
    with torch.no_grad():
        out = module(x, y)
        for row in range(3):
            found = attended(module, x[row], y[row])
            if not published:  # else read as it lies, heads first
                found = found.transpose(0, 1)
            torch.testing.assert_close(out[row], module.proj(found.reshape(4, 8)))


def test_masks_padding_and_gradients():
    model = nano(with_motion=True, infuse_context=True, published_attention=False)
    fill_by_rule(model)
    boxes, mask = regions(), torch.ones(2, FRAMES, 5, dtype=torch.bool)
    mask[:, :, 0] = mask[0, 2, 1] = mask[:, :, 3:] = False
    padded = (boxes * mask.unsqueeze(-1))[:, :, :3]
    out = model(CLIP, torch.ones(2, FRAMES).bool(), boxes, mask)
    assert out.tokens.shape == (2, 8, 64) and bool(out.mask.all())
    torch.testing.assert_close(model(CLIP, boxes=padded).cls, out.cls)
    (out.tokens.sum() + out.cls.sum()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_a_whole_published_file_loads():
    """Keys of the authors' model; what it never runs is left in the file."""
    head = dict(type="ClassificationHead", in_dims=64)
    heads = dict(verb=dict(head, num_classes=5), noun=dict(head, num_classes=7))
    video = dict(type=InAViT, arch="nano", img_size=32, num_frames=FRAMES)
    model = MultiModalRecognizer(dict(video=video), heads)
    state = nano(with_motion=True, infuse_context=True).state_dict()
    block, one = "blocks.1.", torch.ones(1)
    for name in ("spatial_selfattn.qkv", "spatial_selfattn.proj", "timecrossattn.qkv"):
        state |= {f"{block}{name}.weight": one, f"{block}{name}.bias": one}
    names = ("hand_mask_weights", "obj_mask_weights", "spatial_crossattn.pos_emb")
    state |= {block + name: one for name in names}
    for place, classes in enumerate((5, 7)):
        state[f"head{place}.weight"] = torch.ones(classes, 64)
        state[f"head{place}.bias"] = torch.zeros(classes)
    content = {"model_state": state, "epoch": 1}
    found, report = fit(unwrap(content, "a file"), model, "a file")
    assert {*found} == {*model.state_dict()} and len(report.unused) == 9 + 8 + 19
    more = {"model_state": {**state, block + "crop_layer.weight": one}}
    with pytest.raises(CheckpointError, match="crop_layer"):
        fit(unwrap(more, "a file"), model, "a file")


def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match="num_hands=0"):
        nano(num_hands=0)
    with pytest.raises(ValueError, match="num_frames=0"):
        nano(num_frames=0)
    with pytest.raises(ValueError, match="InAViT got no boxes"):
        nano()(CLIP)
    with pytest.raises(ValueError, match="at most o=5"):
        nano()(CLIP, boxes=torch.zeros(2, FRAMES, 6, 4))
    boxes = torch.zeros(2, FRAMES, 5, 4)
    for wrong in (torch.ones(2, FRAMES, 2).bool(), torch.ones(2, FRAMES, 5)):
        with pytest.raises(ValueError, match="boxes_mask is .*expected bool .*5"):
            nano()(CLIP, boxes=boxes, boxes_mask=wrong)
    with pytest.raises(ValueError, match="none 0"):
        nano()(CLIP, boxes=boxes[:, :, :0])
