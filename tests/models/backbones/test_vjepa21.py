"""VJEPA21 against figures of the authors' encoder (vjepa2 204698b), and its files.

Their code was run unmodified, at this size, with the tensors and the clip of
``generated_weights``: all tokens of one and of four levels were equal to the last bit
(64 px, 4 frames) and within 9.6e-7 (96 px, 6 frames, attention without SDPA).
"""

import pytest
import torch

from mmfusion.models import VJEPA21
from mmfusion.weights import fit
from mmfusion.weights.files import unwrap
from tests.models.backbones.generated_weights import drawn, fill_by_rule
from tests.tolerances import FORWARD

AUTHORS = [  # of the second clip's last token, three channels of each level
    [-1.3872698, -0.3494820, -0.1404862],
    [-1.6435701, -0.1707740, -0.0740721],
    [-1.4149570, -0.2835025, 0.2403592],
    [-1.3622141, -0.3608322, 0.0805233],
]


@pytest.fixture(scope="module")
def file():
    """A file as the authors', at our size: an encoder and its moving average."""
    model = VJEPA21("nano", img_size=32, num_frames=2)
    fill_by_rule(model)
    encoder = {f"module.backbone.{k}": v for k, v in model.state_dict().items()}
    encoder["module.backbone.img_mod_embed"] = torch.zeros(1, 1, 32)
    encoder["module.backbone.patch_embed_img.proj.bias"] = torch.zeros(32)
    return dict(encoder={}, ema_encoder=encoder, predictor={}, epoch=1)


def test_a_file_loads_and_gives_the_authors_tokens(file):
    model = VJEPA21("nano", img_size=64, num_frames=4, num_levels=4)
    found, report = fit(unwrap(file, "f", container="ema_encoder"), model, "f")
    model.load_state_dict(found)
    assert len(report.unused) == 2
    mask = torch.tensor([[True] * 4, [True, False, False, False]])
    out = model(drawn("clip", (2, 3, 4, 64, 64)), mask)
    assert out.cls is None and out.mask.sum(1).tolist() == [32, 16]
    found = out.tokens[1, -1].unflatten(0, (4, 32))[:, :3]
    torch.testing.assert_close(found, torch.tensor(AUTHORS), **FORWARD[torch.float32])
    out.tokens.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_one_level_is_the_last_of_four(file):
    """And what it does not use is not trained."""
    tensors, clip = file["ema_encoder"], drawn("clip", (1, 3, 2, 32, 32))
    tokens = []
    for levels in (1, 4):
        model = VJEPA21("nano", img_size=32, num_frames=2, num_levels=levels)
        model.load_state_dict(fit(tensors, model, "f")[0])
        tokens.append(model(clip).tokens)
    torch.testing.assert_close(tokens[0], tokens[1][..., 96:])
    model = VJEPA21("nano", img_size=32, num_frames=2)
    model(clip).tokens.sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())


def test_errors():
    for options in (dict(img_size=16), dict(num_frames=3)):
        with pytest.raises(ValueError, match="expected 32 or more and an even"):
            VJEPA21("nano", **options)
    with pytest.raises(ValueError, match="num_levels"):
        VJEPA21("nano", num_levels=2)
