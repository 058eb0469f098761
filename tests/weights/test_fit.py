"""Published layouts, each written as its authors' code writes it, into our modules."""

import argparse

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmfusion.models import (
    CLIPTimeSformer,
    CLIPViT,
    Motionformer,
    MultiModalRecognizer,
    ORViT,
    VideoMamba,
)
from mmfusion.utils.errors import CheckpointError
from mmfusion.weights import Pretrained
from mmfusion.weights.fit import state_dict_difference

NANO = dict(arch="nano", img_size=32, num_frames=4)


def filled(module):
    """The module with numbers in every tensor, zero-initialised ones too."""
    with torch.no_grad():
        for value in module.state_dict().values():
            value.copy_(torch.randn(value.shape))
    return module


def linear(name, out, width=64):
    return {f"{name}.weight": torch.randn(out, width), f"{name}.bias": torch.randn(out)}


def flash_layout(state):
    """AVION with --use-flash-attn --use-fast-conv1, as its checkpoints are."""
    names = (".attn.in_proj_", ".attn.Wqkv."), (".mlp.c_fc", ".mlp.fc1")
    renamed = {}
    for key, value in state.items():
        for ours, theirs in (*names, (".mlp.c_proj", ".mlp.fc2")):
            key = key.replace(ours, theirs)
        renamed[f"visual.{key}"] = value.flatten(1) if key == "conv1.weight" else value
    return renamed


def published(kind):
    """(module, what its authors' file holds, tensors that are unused)."""
    if kind == "videomamba":
        module = filled(VideoMamba(**NANO))
        state = module.state_dict() | linear("head", 174)
        return module, {"model": state, "epoch": 34}, 2
    if kind == "videomamba masked":
        module = filled(VideoMamba(**NANO))
        state = {f"encoder.{k}": v for k, v in module.state_dict().items()}
        state["encoder.norm.weight"] = state.pop("encoder.norm_f.weight")
        return module, {"module": state | linear("clip_decoder.0.head", 8)}, 2
    if kind == "avion flash":
        module = filled(CLIPViT(**NANO))
        state = flash_layout(module.state_dict()) | linear("fc_cls", 3806)
        state = {f"module.{k}": v for k, v in state.items()}
        more = {"args": argparse.Namespace(lr=3e-3), "best_acc1": np.float64(49.5)}
        return module, {"state_dict": state, "epoch": 99, **more}, 2
    if kind == "avion pretraining":
        module = filled(CLIPViT(**NANO))
        state = {f"visual.{k}": v for k, v in module.state_dict().items()}
        state["visual.image_projection"] = torch.randn(64, 256)
        state |= {"logit_scale": torch.tensor(2.6)}
        state |= {f"textual.{k}": v for k, v in linear("ln_final", 4).items()}
        return module, {"state_dict": {f"module.{k}": v for k, v in state.items()}}, 4
    if kind == "lavila":
        module = filled(CLIPTimeSformer(**NANO))
        state = {f"module.visual.{k}": v for k, v in module.state_dict().items()}
        for index, classes in enumerate((97, 300, 3806)):
            state |= linear(f"module.fc_cls.{index}", classes)
        return module, {"state_dict": state, "args": argparse.Namespace()}, 6
    backbone = {"motionformer": Motionformer, "orvit": ORViT}[kind]
    module = filled(backbone(**NANO))
    state = module.state_dict() | linear("head0", 97) | linear("head1", 300)
    state |= {f"patch_embed.{k}": v for k, v in linear("proj", 64, 768).items()}
    return module, {"model_state": state, "cfg": "MODEL: {}\n", "epoch": 49}, 6


KINDS = ["videomamba", "videomamba masked", "avion flash", "avion pretraining"]
KINDS += ["lavila", "motionformer", "orvit"]


def fresh(module, **options):
    return type(module)(**{**NANO, **options})


@pytest.mark.parametrize("kind", KINDS)
def test_published_files_load_strictly(kind, tmp_path, log_lines):
    module, content, num_unused = published(kind)
    torch.save(content, tmp_path / "published.pyth")
    loaded = fresh(module)
    Pretrained(str(tmp_path / "published.pyth"))(loaded)
    for key, value in module.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
    log = "\n".join(log_lines)
    assert f"{len(module.state_dict())} tensors loaded" in log
    counts = [int(line.split()[0]) for line in log.splitlines() if " unused (" in line]
    assert sum(counts) == num_unused and "fresh" not in log


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_and_a_surplus_key_are_named(kind, tmp_path):
    module, content, _ = published(kind)
    name = next(iter(content))
    state = dict(content[name])
    gone = next(k for k in state if "cls_token" in k or "class_embedding" in k)
    del state[gone]
    state[gone.rpartition(".")[0] + ".strange"] = torch.zeros(1)
    torch.save({name: state}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError) as error:
        Pretrained(str(tmp_path / "x.pth"))(fresh(module))
    assert "1 missing in the file" in str(error.value)
    assert "1 not in the model" in str(error.value) and "strange" in str(error.value)


def test_positions_and_times_are_interpolated_as_the_authors_do(tmp_path):
    module, content, _ = published("videomamba")
    torch.save(content, tmp_path / "x.pth")
    loaded = fresh(module, img_size=48, num_frames=8)
    Pretrained(str(tmp_path / "x.pth"))(loaded)
    old = module.pos_embed
    grid = old[:, 1:].reshape(1, 2, 2, 64).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(3, 3), mode="bicubic", align_corners=False)
    torch.testing.assert_close(
        loaded.pos_embed, torch.cat([old[:, :1], grid.flatten(2).mT], 1)
    )
    times = F.interpolate(module.temporal_pos_embedding.mT, size=8, mode="linear").mT
    torch.testing.assert_close(loaded.temporal_pos_embedding, times)


@pytest.mark.parametrize("kind", ["avion flash", "lavila"])
def test_longer_tables_of_times_are_cut_where_the_authors_cut_them(kind, tmp_path):
    module, content, _ = published(kind)
    torch.save(content, tmp_path / "x.pth")
    loaded = fresh(module, num_frames=3)
    Pretrained(str(tmp_path / "x.pth"))(loaded)
    name = "temporal_embedding" if kind == "avion flash" else "temporal_embed"
    assert torch.equal(getattr(loaded, name), getattr(module, name)[..., :3, :])


def test_interpolation_can_be_refused(tmp_path):
    module, content, _ = published("videomamba")
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"file \(1, 4, 64\), model \(1, 8, 64\)"):
        Pretrained(str(tmp_path / "x.pth"), interpolate=False)(
            fresh(module, num_frames=8)
        )


def test_image_weights_are_inflated_by_their_middle_frame(tmp_path, log_lines):
    module, content, _ = published("videomamba")
    state = dict(content["model"])
    del state["temporal_pos_embedding"]
    kernel = state["patch_embed.proj.weight"][:, :, 0].clone()
    state["patch_embed.proj.weight"] = kernel
    torch.save({"model": state}, tmp_path / "image.pth")
    loaded = fresh(module, tubelet_size=2)
    Pretrained(str(tmp_path / "image.pth"))(loaded)
    assert torch.equal(loaded.patch_embed.proj.weight[:, :, 1], kernel)
    assert not loaded.patch_embed.proj.weight[:, :, 0].any()
    assert not loaded.temporal_pos_embedding.any()
    assert "1 fresh (image weights have none): temporal" in "\n".join(log_lines)


def recognizer(num_classes, **init):
    backbone = dict(type="VideoMamba", **NANO)
    head = dict(type="ClassificationHead", num_classes=num_classes, in_dims=64)
    return MultiModalRecognizer({"video": backbone}, {"action": head}, **init)


def test_a_recognizer_takes_the_published_head(tmp_path):
    module, content, _ = published("videomamba")
    path = str(tmp_path / "x.pth")
    torch.save(content, path)
    model = recognizer(174)
    Pretrained(path)(model)
    assert torch.equal(model.heads["action"].fc.bias, content["model"]["head.bias"])
    assert torch.equal(model.encoders["video"].cls_token, module.cls_token)
    with pytest.raises(CheckpointError, match=r"fc.bias: file \(174,\), model \(36,\)"):
        Pretrained(path)(recognizer(36))
    Pretrained(path, ignore=["heads."])(recognizer(36))


LARGER = {  # another size or number of frames, where the file's tables do not fit
    "videomamba": dict(img_size=48, num_frames=8),
    "videomamba masked": dict(img_size=64, num_frames=2),
    "avion flash": dict(img_size=48, num_frames=3),
    "avion pretraining": dict(img_size=48),
    "lavila": dict(img_size=48, num_frames=2),
    "motionformer": dict(img_size=48, num_frames=8),
}


@pytest.mark.parametrize("kind", LARGER)
def test_a_recognizer_of_another_size_takes_what_its_backbone_takes(kind, tmp_path):
    module, content, _ = published(kind)
    path = str(tmp_path / "x.pth")
    torch.save(content, path)
    bare = fresh(module, **LARGER[kind])
    Pretrained(path)(bare)
    backbone = dict(type=type(module).__name__, **{**NANO, **LARGER[kind]})
    head = dict(type="ClassificationHead", num_classes=5, in_dims=64)
    model = MultiModalRecognizer({"video": backbone}, {"own": head})
    Pretrained(path, ignore=["heads."])(model)
    found = model.encoders["video"].state_dict()
    for key, value in bare.state_dict().items():
        assert torch.equal(found[key], value), key


def test_a_recognizer_inflates_image_weights(tmp_path):
    _, content, _ = published("videomamba")
    state = dict(content["model"])
    del state["temporal_pos_embedding"]
    kernel = state["patch_embed.proj.weight"][:, :, 0].clone()
    state["patch_embed.proj.weight"] = kernel
    torch.save({"model": state}, tmp_path / "image.pth")
    model = recognizer(174)
    Pretrained(str(tmp_path / "image.pth"))(model)
    video = model.encoders["video"]
    assert torch.equal(video.patch_embed.proj.weight[:, :, 0], kernel)
    assert not video.temporal_pos_embedding.any()


def test_orvit_starts_from_a_motionformer_by_request(tmp_path):
    module, content, _ = published("motionformer")
    path = str(tmp_path / "x.pyth")
    torch.save(content, path)
    loaded = fresh(ORViT(**NANO))
    with pytest.raises(CheckpointError, match="missing in the file"):
        Pretrained(path)(loaded)
    objects = ("patch_to_d", "box_categories", "c_coord_to_feature", "motion_*")
    Pretrained(path, ignore=[f"blocks.*.{name}*" for name in objects])(loaded)
    ours, theirs = (m.blocks[1].attn.qkv.weight for m in (loaded, module))
    assert torch.equal(ours, theirs)


def test_difference_of_keys_and_shapes_is_short():
    own = {f"w{index}": torch.zeros(2) for index in range(30)}
    given = {"w0": torch.zeros(3), "w1": torch.zeros(2), "x": torch.zeros(1)}
    text = state_dict_difference(own, given)
    assert "w0: file (3,), model (2,)" in text
    assert "28 missing in the file" in text and "... and 20 more" in text
    assert "1 not in the model" in text and len(text.splitlines()) < 20
    assert state_dict_difference(own, own) == ""
