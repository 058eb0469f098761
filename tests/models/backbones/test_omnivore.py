"""Omnivore against figures of the authors' Swin Transformer (1d55abd), and its files.

Their code was run unmodified with the tensors and the clip of ``generated_weights``.
"""

import pytest
import torch

from mmfusion.models import MultiModalRecognizer, Omnivore
from mmfusion.utils.errors import CheckpointError
from mmfusion.weights import fit
from mmfusion.weights.files import unwrap
from tests.models.backbones.generated_weights import drawn
from tests.tolerances import FORWARD

AUTHORS = [-1.0911295, -1.1957114, -0.7812887, 0.8764127, 0.0994335, -0.6146196]


@pytest.fixture(scope="module")
def model():
    video = dict(type=Omnivore, arch="nano", img_size=64, num_frames=8)
    head = dict(type="ClassificationHead", num_classes=5, in_dims=128)
    return MultiModalRecognizer(dict(video=video), dict(action=head)).eval()


@pytest.fixture(scope="module")
def file(model):
    """A file as the authors' of EPIC-KITCHENS-100, at our size."""
    trunk = {}
    for ours, value in model.encoders["video"].backbone.state_dict().items():
        key = ours.replace("norm3.", "norm.", 1) if ours.startswith("norm3.") else ours
        trunk[key] = value.clone()
        if value.is_floating_point():
            trunk[key] = drawn(key, tuple(value.shape)) * 0.1
            if value.dim() == 1 and key.endswith("weight"):
                trunk[key] += 1  # a norm
    heads = {"1.weight": torch.ones(5, 128), "1.bias": torch.arange(5.0)}
    return dict(trunk=trunk, heads=heads)


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_a_whole_file_loads_and_gives_the_authors_features(model, file):
    found, _ = fit(unwrap(file, "a file"), model, "a file")
    assert {*found} == {*model.state_dict()}
    model.load_state_dict(found)
    clip = drawn("clip", (1, 3, 8, 64, 64))
    with torch.no_grad():
        out = model.encoders["video"](clip, torch.ones(1, 8, dtype=torch.bool))
    assert out.tokens.shape == (1, 16, 128) and bool(out.mask.all())
    expected = torch.tensor([AUTHORS])
    first = out.summary[:, :6]
    torch.testing.assert_close(first, expected, **FORWARD[torch.float32])
    logits = model.heads["action"](out.summary)
    expected = out.summary.sum() + torch.arange(5.0)
    torch.testing.assert_close(logits[0], expected)


def test_another_file_is_refused(model, file):
    more = {**file["trunk"], "more": torch.ones(1)}
    with pytest.raises(CheckpointError, match="more"):
        fit(unwrap({**file, "trunk": more}, "a file"), model, "a file")
    with pytest.raises(ValueError, match="expected"):
        Omnivore("huge")
    with pytest.raises(ValueError, match=r"expected \(b, 3, 8, 64, 64\)"):
        model.encoders["video"](torch.zeros(1, 3, 4, 64, 64))
