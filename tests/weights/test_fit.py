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


def odd(key, change):
    """A change of one tensor of a state dict, by its key."""
    return lambda state: state | {key: change(state[key])}


ODD_FILES = {
    # AVION's patches are published as (d, 3, p, p) or (d, 3 p p), in no other way
    "patches transposed": (
        "avion",
        odd("visual.conv1.weight", lambda x: x.view(3, 64, 16, 16)),
        "another shape:\n    conv1.weight",
    ),
    "patches in a row": (
        "avion",
        odd("visual.conv1.weight", lambda x: x.view(1, -1)),
        "another shape:\n    conv1.weight",
    ),
    "two last norms": (
        "videomamba",
        lambda state: state | {"norm.weight": state["norm_f.weight"]},
        "both 'norm_f.weight' and 'norm.weight'",
    ),
    "two prefixes": (
        "videomamba",
        lambda state: state | {"backbone.cls_token": state["cls_token"]},
        "both 'cls_token' and 'backbone.cls_token'",
    ),
    "whole numbers": ("videomamba", odd("cls_token", torch.Tensor.int), "file int32"),
    "bits": ("videomamba", odd("cls_token", torch.Tensor.bool), "file bool"),
    "complex": ("videomamba", odd("cls_token", lambda x: x + 0j), "file complex64"),
    "sparse": ("videomamba", odd("cls_token", lambda x: x.to_sparse()), "sparse_coo"),
    "no numbers": ("videomamba", odd("cls_token", lambda x: x.to("meta")), "strided"),
    "a NaN": (
        "videomamba",
        odd("cls_token", lambda x: x * torch.nan),
        "1 not finite:\n    cls_token",
    ),
    "too large for float32": (
        "videomamba",
        odd("cls_token", lambda x: x.double() * 1e300),
        "1 not finite:\n    cls_token",
    ),
    "an empty tensor": ("videomamba", odd("cls_token", lambda x: x[:0]), "shape"),
    "one more axis": ("videomamba", odd("cls_token", lambda x: x[None]), "shape"),
    "one position": ("videomamba", odd("pos_embed", lambda x: x[:, :2]), "pos_embed"),
    "no position": ("videomamba", odd("pos_embed", lambda x: x[:, :1]), "pos_embed"),
    "positions of six models": (
        "videomamba",
        odd("pos_embed", lambda x: x.expand(2, -1, -1)),
        "pos_embed",
    ),
    "whole positions": (
        "videomamba",
        odd("pos_embed", lambda x: x.repeat(1, 2, 1)[:, :10].long()),
        "pos_embed",
    ),
    "no time": (
        "videomamba",
        odd("temporal_pos_embedding", lambda x: x[:, :0]),
        "temporal_pos_embedding",
    ),
    "times of two models": (
        "videomamba",
        odd("temporal_pos_embedding", lambda x: x.expand(2, -1, -1)),
        "temporal_pos_embedding",
    ),
    "tensors beside": (
        "videomamba",
        lambda state: {"state_dict": state, "cls_token": state["cls_token"]},
        "others beside it",
    ),
    "a number as a name": (
        "videomamba",
        lambda state: {**state, 7: state["cls_token"]},
        "names a tensor 7",
    ),
}


@pytest.mark.parametrize("case", ODD_FILES)
def test_what_no_published_file_holds_is_refused(case, tmp_path):
    kind, change, said = ODD_FILES[case]
    module = filled(CLIPViT(**NANO) if kind == "avion" else VideoMamba(**NANO))
    prefix = "visual." if kind == "avion" else ""
    state = {f"{prefix}{k}": v for k, v in module.state_dict().items()}
    path = tmp_path / "odd.pth"
    torch.save(state, path)
    Pretrained(str(path))(fresh(module))
    torch.save(change(state), path)
    with pytest.raises(CheckpointError) as error:
        Pretrained(str(path))(fresh(module))
    assert said in str(error.value) and "odd.pth" in str(error.value)


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16, torch.double])
def test_floats_of_any_precision_load(dtype, tmp_path):
    module = filled(VideoMamba(**NANO))
    state = {key: value.to(dtype) for key, value in module.state_dict().items()}
    torch.save(state, tmp_path / "x.pth")
    loaded = fresh(module)
    Pretrained(str(tmp_path / "x.pth"))(loaded)
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, state[key].float())


@pytest.mark.parametrize("prefix", ["", "backbone.", "encoder."])
def test_heads_are_known_behind_a_prefix(prefix, tmp_path, log_lines):
    module = filled(VideoMamba(**NANO))
    state = {f"{prefix}{k}": v for k, v in module.state_dict().items()}
    state |= linear(f"{prefix}head", 9)
    torch.save(state, tmp_path / "x.pth")
    Pretrained(str(tmp_path / "x.pth"))(fresh(module))
    assert "2 unused (the published action head)" in "\n".join(log_lines)
    model = recognizer(9)
    Pretrained(str(tmp_path / "x.pth"))(model)
    assert torch.equal(model.heads["action"].fc.bias, state[f"{prefix}head.bias"])
    torch.save(state | linear("module.head", 9), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="not in the model"):
        Pretrained(str(tmp_path / "x.pth"))(model)
    other = "head" if prefix else "encoder.head"
    torch.save(state | linear(other, 9), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=f"has both '{prefix}head.weight' and"):
        Pretrained(str(tmp_path / "x.pth"))(model)


def test_a_container_is_chosen_by_name(tmp_path):
    module, content, _ = published("videomamba")
    averaged = {k: v + 1 for k, v in content["model"].items()}
    path = str(tmp_path / "x.pth")
    torch.save({"model_ema": averaged, "epoch": 3}, path)
    with pytest.raises(CheckpointError, match=r"model_ema {...}.*container='model_ema"):
        Pretrained(path)(fresh(module))
    torch.save(content | {"model_ema": averaged}, path)
    for name, expected in ((None, content["model"]), ("model_ema", averaged)):
        loaded = fresh(module)
        Pretrained(path, container=name)(loaded)
        assert torch.equal(loaded.cls_token, expected["cls_token"])
    with pytest.raises(CheckpointError, match="no dict 'ema'; it holds model"):
        Pretrained(path, container="ema")(fresh(module))


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
