"""MeMViT against figures of the authors' code (20a24f0), its memory, and its files.

Their MViT was run unmodified, clip after clip, with the tensors of
``generated_weights``.
"""

import pytest
import torch

from mmfusion.models import MeMViT, MultiModalRecognizer
from mmfusion.utils.errors import CheckpointError
from mmfusion.weights import fit
from tests.models.backbones.generated_weights import drawn, fill_by_rule
from tests.tolerances import FORWARD

# CLS token after a first clip and after a third and a fourth, when two are remembered
AUTHORS = {
    0: [0.3020023, -0.2800204, -0.9317149, 1.9116071, 0.8283107, -0.1810817],
    2: [0.1012877, -0.2189207, -1.0341401, 2.1749275, 0.7048063, -0.3202417],
    3: [0.1074509, -0.2622097, -1.0601908, 2.0124772, 0.7023427, -0.4933307],
}


@pytest.fixture(scope="module")
def model():
    """A nano model of three clips of 8 frames of 32 px."""
    model = MeMViT("nano", img_size=32, num_frames=8, num_clips=3).eval()
    fill_by_rule(model)
    return model


def test_clips_in_order_give_the_authors_tokens():
    model = MeMViT("nano", img_size=64, num_frames=16).eval()
    fill_by_rule(model)
    memory = None
    for index in range(4):
        clip = drawn(f"clip {index}", (1, 3, 16, 64, 64))
        with torch.no_grad():
            out, memory = model.read_clip(clip, None, memory)
        if index in AUTHORS:
            expected = torch.tensor([AUTHORS[index]])
            found = out.cls[:, :6]
            torch.testing.assert_close(found, expected, **FORWARD[torch.float32])
    assert out.tokens.shape == (1, 32, 128) and out.mask is None


def test_a_sample_is_its_clips_and_trains_the_last(model):
    x = drawn("video", (1, 3, 24, 32, 32)).requires_grad_()
    out = model(x)
    memory = None
    for clip in x.detach().chunk(3, dim=2):
        by_clip, memory = model.read_clip(clip, None, memory)
    torch.testing.assert_close(out.tokens, by_clip.tokens)
    out.cls.sum().backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert missing == []
    assert not x.grad[:, :, :16].any() and x.grad[:, :, 16:].any()


def test_clips_before_a_videos_start_are_no_memory(model):
    x = drawn("video", (2, 3, 24, 32, 32))
    mask = torch.ones(2, 24, dtype=torch.bool)
    mask[0, :16] = False
    with torch.no_grad():
        out, all_there = model(x, mask), model(x[1:])
        alone, _ = model.read_clip(x[:1, :, 16:], None, None)
    assert out.mask.all() and out.mask.shape == (2, 4)
    torch.testing.assert_close(out.cls, torch.cat([alone.cls, all_there.cls]))


def test_a_clip_without_a_mask_is_there(model):
    clips = drawn("video", (2, 3, 32, 32, 32)).chunk(4, dim=2)
    there, absent = torch.ones(2, 8, dtype=torch.bool), torch.zeros(2, 8).bool()

    def read(*masks):
        memory = None
        with torch.no_grad():
            for clip, mask in zip(clips, masks, strict=True):
                out, memory = model.read_clip(clip, mask, memory)
        return out.cls

    assert torch.equal(read(None, absent, None, None), read(there, absent, there, None))


def authors_file(model, classes: int) -> dict[str, torch.Tensor]:
    """Their model of boxes: memory in every block, though half of them use none."""
    state = {key: value.clone() for key, value in model.state_dict().items()}
    for key, value in model.blocks[2].attn.state_dict().items():
        if "compress" in key or "rel_pos_mem" in key:
            state |= {f"blocks.{odd}.attn.{key}": value for odd in (1, 3)}
    return state | {
        "box_blocks.0.norm1.weight": torch.ones(128),
        "head.projection.weight": torch.ones(classes, 128),
        "head.projection.bias": torch.zeros(classes),
    }


def test_published_files_fit_key_by_key(model):
    video = dict(type=MeMViT, arch="nano", img_size=32, num_frames=8)
    head = dict(type="ClassificationHead", num_classes=5, in_dims=128)
    whole = MultiModalRecognizer(dict(video=video), dict(action=head))
    file = authors_file(model, 5)
    found, report = fit(file, whole, "a file")
    assert {*found} == {*whole.state_dict()} and len(report.unused) == 2 * 9 + 1
    memory = ("compress", "rel_pos_mem")
    kinetics = {k: v for k, v in file.items() if not any(one in k for one in memory)}
    with pytest.raises(CheckpointError, match="compress_k"):
        fit(kinetics, model, "a file")
    fresh = ["blocks.*.attn.*compress_*", "blocks.*.attn.rel_pos_mem_*"]
    found, report = fit(kinetics, model, "a file", fresh=fresh)
    assert {*found, *report.fresh} == {*model.state_dict()}
    assert len(report.fresh) == 2 * 9


def test_wrong_sizes_raise(model):
    for wrong in (dict(img_size=48), dict(num_frames=12), dict(num_frames=0)):
        with pytest.raises(ValueError, match="multiple of 32"):
            MeMViT("nano", **wrong)
    with pytest.raises(ValueError, match=r"expected \(b, 3, 24, 32, 32\)"):
        model(torch.zeros(1, 3, 8, 32, 32))
