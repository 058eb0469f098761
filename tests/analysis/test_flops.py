from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmfusion.analysis.flops import (
    count_flops,
    input_shapes,
    num_parameters,
    published_flops,
)
from mmfusion.analysis.meta_device import without_content
from mmfusion.models import FeatureEncoder, Omnivore, ORViT, VideoMamba
from mmfusion.models.layers import MambaMixer


def macs(module, *shape):
    with torch.device("meta"):
        counts = count_flops(module, lambda: (torch.empty(*shape),))
    return {name: value / 2 for name, value in counts.items()}


def on_meta(build):
    with without_content():
        return build().eval()


def test_linear_and_convolution_by_hand():
    module = on_meta(
        lambda: nn.Sequential(nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4)), nn.Linear(2, 5))
    )
    counts = macs(module, 1, 3, 4, 8, 8)  # -> (1, 8, 2, 2, 2) -> (..., 5)
    assert counts["0"] == 8 * 8 * (3 * 2 * 4 * 4)
    assert counts["1"] == 8 * 4 * 2 * 5
    assert counts[""] == counts["0"] + counts["1"]
    assert num_parameters(module) == 8 * 96 + 8 + 2 * 5 + 5


def test_a_module_called_twice_counts_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return self.fc(self.fc(x))

    assert macs(on_meta(Twice), 3, 4) == {"": 2 * 48, "fc": 2 * 48}


def test_a_module_may_give_its_parameter_back():
    class Token(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.empty(1, 4))

        def forward(self, x):
            return self.token

    module = on_meta(lambda: nn.Sequential(Token(), nn.Linear(4, 2)))
    assert macs(module, 1, 4)[""] == 8


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_a_swin_of_mmaction_is_built_without_content():
    model = on_meta(lambda: Omnivore("nano", img_size=32, num_frames=2))
    counts = macs(model, 1, 3, 2, 32, 32)
    assert counts["backbone.patch_embed"] == 64 * 16 * (3 * 2 * 4 * 4)
    assert counts[""] > 10 * counts["backbone.patch_embed"]


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "both"])
def test_a_mixer_by_hand_and_by_the_published_convention(bidirectional):
    mixer = on_meta(lambda: MambaMixer(16, d_state=4, bidirectional=bidirectional))
    d, e, n, r, w, tokens = 16, 32, 4, 1, 4, 50
    seen = tokens * (d * 2 * e + e * d)
    direction = tokens * (e * (r + 2 * n) + r * e + w * e + e * (7 * n + 3) / 2)
    counts = macs(mixer, 1, tokens, d)
    assert counts["in_proj"] + counts["out_proj"] == seen
    hidden = counts[""] - seen
    assert hidden == pytest.approx(direction * (2 if bidirectional else 1))
    doubled = {name: 2 * value for name, value in counts.items()}
    assert published_flops(mixer, doubled) == 2 * seen


def test_attention_by_hand():
    layer = on_meta(
        lambda: ORViT(arch="nano", img_size=32, num_frames=4).blocks[0].attn
    )
    with torch.device("meta"):
        counts = count_flops(layer, lambda: (torch.empty(1, 9, 64), 2))
    d, tokens, times, places = 64, 8, 2, 4
    linear = 9 * d * 3 * d + tokens * d * d + tokens * times * d * 2 * d + 9 * d * d
    cls = 2 * 9 * d
    paths = 2 * tokens * times * places * d
    along = 2 * tokens * times * d
    assert counts[""] / 2 == linear + cls + paths + along


def test_published_numbers():
    """VideoMamba's model zoo: 1.1 G and 7 M for one image, without the head."""
    model = on_meta(lambda: VideoMamba(num_frames=1))
    with torch.device("meta"):
        counts = count_flops(model, lambda: (torch.empty(1, *model.input_shape),))
    assert round(published_flops(model, counts) / 2e9, 1) == 1.1
    assert round(num_parameters(model) / 1e6) == 7
    assert counts[""] / 2e9 == pytest.approx(1.501, abs=1e-3)


def test_boxes_of_a_config_are_counted():
    model = on_meta(lambda: ORViT(arch="nano", img_size=32, num_frames=4))

    def call(boxes):
        boxes = torch.empty(1, 4, 4, 4) if boxes else None
        return (torch.empty(1, 3, 4, 32, 32), None, boxes)

    with torch.device("meta"):
        plain, full = (count_flops(model, lambda k=k: call(k))[""] for k in (0, 1))
    assert full > plain


def test_sizes_of_features_are_in_the_pipeline():
    model = SimpleNamespace(encoders=dict(rgb=FeatureEncoder(8), obj=FeatureEncoder(5)))
    pipeline = [
        dict(type="SampleObservedFrames", num_frames=dict(rgb=3, obj=4)),
        dict(type="LoadFeatures", stream="rgb", path="rgb", width=8),
        dict(type="LoadFeatures", stream="obj", path="obj", width=5),
    ]
    config = Config(dict(test_dataloader=dict(dataset=dict(pipeline=pipeline))))
    assert input_shapes(config, model, {}) == {"rgb": (3, 8), "obj": (4, 5)}
