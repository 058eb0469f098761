"""The recipes of configs/recognition: rates, and a step of each on generated clips."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from lr_table import follow
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmfusion.datasets import SampleKey, fusion_collate
from mmfusion.datasets.media.video_io import open_video
from mmfusion.registry import DATASETS, MODELS
from mmfusion.tinyego import WorldConfig, generate
from tests.configs.loaded import ROOT
from tests.configs.loaded import load as load_config
from tools.data.ek100 import prepare as prepare_ek100
from tools.data.video_lists import prepare as prepare_list

CONFIGS = sorted(path.stem for path in (ROOT / "recognition").glob("*.py"))
VIDEO_MAMBA = [name for name in CONFIGS if name.startswith("video_mamba")]
SMALL = WorldConfig(seed=5, num_train=12, num_val=12, num_test=0, height=72)
SIDE, FRAMES = 32, 4
# base rate, epochs, weight decay, layer decay, blocks, clips a step: their scripts
SCRIPTS = {
    "tiny_ssv2": (4e-4, 35, 0.1, 0.75, 24, 512),
    "tiny_ssv2_f16": (4e-4, 35, 0.1, 0.75, 24, 512),
    "small_ssv2": (4e-4, 30, 0.05, 0.75, 24, 512),
    "small_ssv2_f16": (4e-4, 30, 0.05, 0.75, 24, 512),
    "middle_ssv2": (4e-4, 30, 0.05, 0.75, 32, 512),
    "middle_ssv2_f16": (4e-4, 30, 0.05, 0.75, 32, 256),
    "middle_masked_ssv2": (1e-4, 30, 0.05, 0.8, 32, 512),
    "middle_masked_ssv2_f16": (1e-4, 30, 0.05, 0.8, 32, 256),
    "tiny_k400": (2e-4, 70, 0.1, 0.75, 24, 512),
    "tiny_k400_f16": (2e-4, 70, 0.1, 0.75, 24, 512),
    "small_k400": (2e-4, 50, 0.05, 0.75, 24, 512),
    "small_k400_f16": (2e-4, 50, 0.05, 0.75, 24, 512),
    "middle_k400": (2e-4, 50, 0.05, 0.75, 32, 512),
    "middle_k400_f16": (1e-4, 50, 0.05, 0.75, 32, 256),
    "middle_masked_k400": (1e-4, 45, 0.05, 0.8, 32, 512),
    "middle_masked_k400_f16": (1e-4, 45, 0.05, 0.8, 32, 256),
}


def load(name):
    return load_config(f"recognition/{name}.py")


def by_peak(groups):
    """The first names after ``encoders.video`` of each rate's parameters."""
    found = {}
    for group in groups:
        for name in group.names:
            part = name.removeprefix("encoders.video.").split(".")
            part = ".".join(part[: 2 if part[0] in ("layers", "heads") else 1])
            found.setdefault(part, set()).add(group.peak)
    return {part: sorted(peaks) for part, peaks in found.items()}


def test_every_row_of_the_table_has_its_config():
    assert [name.removeprefix("video_mamba_") for name in VIDEO_MAMBA] == sorted(
        SCRIPTS
    )
    assert len(CONFIGS) == len(SCRIPTS) + 6


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_video_mamba_has_the_rates_of_the_authors_scripts(name):
    base, epochs, decay, rate, blocks, clips = SCRIPTS[name]
    config = load(f"video_mamba_{name}")
    assert config.auto_scale_lr.base_batch_size == clips
    groups = follow(config, steps=4)
    scale = clips * 2 / 256  # clips of a step x repeats / 256
    parts = by_peak(groups)
    frozen = pytest.approx([base * scale * rate ** (blocks + 1)], rel=1e-6)
    for part in ("patch_embed", "pos_embed", "cls_token"):
        assert parts.pop(part) == frozen
    assert parts.keys() == {
        *(f"layers.{number}" for number in range(blocks)),
        *("temporal_pos_embedding", "norm_f", "heads.action"),
    }
    for peaks in parts.values():
        assert peaks == pytest.approx([base * scale], rel=1e-6)
    warm_up = np.linspace(1e-6, base, 5 * 4)
    later = np.arange((epochs - 5) * 4)
    cosine = 1e-6 + 0.5 * (base - 1e-6) * (1 + np.cos(np.pi * later / len(later)))
    expected = scale * np.concatenate([warm_up, cosine])
    np.testing.assert_allclose(groups[0].rates, expected, rtol=1e-6)
    assert {group.weight_decay for group in groups} == {0.0, decay}


@pytest.mark.parametrize("name", VIDEO_MAMBA)
def test_model_and_all_three_pipelines_take_as_many_frames(name):
    config = load(name)
    frames = [
        config[f"{part}_dataloader"].dataset.pipeline[0].num_frames
        for part in ("train", "val", "test")
    ]
    frames.append(config.model.encoders.video.num_frames)
    assert set(frames) == {16 if name.endswith("_f16") else 8}


def test_video_mamba_decays_what_the_authors_decay():
    for group in follow(load("video_mamba_tiny_ssv2"), steps=1):
        for name in group.names:
            table = name.endswith(("pos_embed", "cls_token", "pos_embedding"))
            one_axis = name.endswith((".D", ".D_b", "bias")) or "norm" in name
            assert (group.weight_decay == 0.0) == (table or one_axis), name


def test_layer_decay_as_it_is_meant():
    config = load("video_mamba_tiny_ssv2")
    config.optim_wrapper.paramwise_cfg.layer_decay.form = "intended"
    parts = by_peak(follow(config, steps=1))
    for number in range(24):
        expected = [1.6e-3 * 0.75 ** (24 - number)]
        assert parts[f"layers.{number}"] == pytest.approx(expected, rel=1e-6)
    assert parts["patch_embed"] == pytest.approx([1.6e-3 * 0.75**25], rel=1e-6)
    for part in ("heads.action", "norm_f", "temporal_pos_embedding"):
        assert parts[part] == pytest.approx([1.6e-3])


@pytest.mark.parametrize(
    ("name", "first", "peak", "last", "decay"),
    [
        ("avion_base_ek100", 4e-6, 1.2e-2, 4e-5, 4e-5),
        ("avion_large_ek100", 4e-6, 1.2e-2, 4e-5, 4e-5),
        ("lavila_base_ek100", 1e-7, 3e-4, 1e-6, 4e-5),
        ("lavila_base_ek100_action_only", 1e-7, 3e-4, 1e-6, 4e-5),
        ("motionformer_base_ek100", 1e-4, 1e-4, 1e-6, 0.05),
        ("orvit_base_ek100", 1e-5, 1e-5, 1e-7, 0.05),
    ],
)
def test_rates_on_epic_kitchens(name, first, peak, last, decay):
    groups = follow(load(name), steps=10)
    for group in groups:
        assert group.rates[0] == pytest.approx(first, rel=1e-5)
        assert group.peak == pytest.approx(peak, rel=1e-5)
        assert group.rates[-1] == pytest.approx(last, rel=0.03)
        assert group.weight_decay in (0.0, decay)
    assert decay in {group.weight_decay for group in groups}


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Generated clips in each layout, made when first asked for."""
    made = {}

    def root_of(layout):
        if layout not in made:
            made[layout] = tmp_path_factory.mktemp(layout)
            generate(made[layout], layout, SMALL)
            root = ["--root", str(made[layout])]
            if layout == "ek100":
                prepare_ek100.main(root)
            else:
                prepare_list.main(["--layout", layout, *root])
        return str(made[layout])

    return root_of


def shrink_pipeline(pipeline):
    """The same transforms, of few frames and a small picture."""
    for step in pipeline:
        if "transforms" in step:
            shrink_pipeline(step.transforms)
        if "num_frames" in step:
            video = isinstance(step.num_frames, dict)
            step.num_frames = dict(video=FRAMES) if video else FRAMES
        if "scale" in step:
            step.scale = (-1, SIDE) if step.scale[0] == -1 else (SIDE, SIDE)
        if "scale_range" in step:
            step.scale_range = (SIDE + 4, SIDE + 8)
        for key in ("size", "crop_size"):
            if key in step:
                step[key] = SIDE


def layout_of(name):
    for ending, layout in dict(ssv2="ssv2", k400="kinetics").items():
        if f"_{ending}" in name:
            return layout
    return "ek100"


def shrink(name, roots):
    """The config with a nano encoder, on generated clips."""
    config = load(name)
    layout = layout_of(name)
    for part in ("train", "val", "test"):
        dataset = config[f"{part}_dataloader"].dataset
        dataset.data_root = roots(layout)
        if layout != "ek100":
            dataset.num_classes = dict(action={"ssv2": 4, "kinetics": 12}[layout])
        shrink_pipeline(dataset.pipeline)
    config.model.encoders.video.update(
        arch="nano", img_size=SIDE, num_frames=FRAMES, init_cfg=None
    )
    train = DATASETS.build(config.train_dataloader.dataset)
    for task, head in config.model.heads.items():
        head.in_dims = 64
        head.num_classes = len(train.get_classes(task))
    return config, train


def batch_of(dataset, count=2):
    return fusion_collate([dataset[index] for index in range(count)])


@pytest.mark.parametrize("name", CONFIGS)
def test_a_real_step_on_generated_clips(name, roots):
    config, train = shrink(name, roots)
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    wrapper = build_optim_wrapper(model, Config(dict(config.optim_wrapper)))
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    batch = batch_of(train)
    repeats = 2 if name in VIDEO_MAMBA else 1
    assert batch["inputs"]["video"].shape == (2, repeats, 3, FRAMES, SIDE, SIDE)
    log = model.train_step(batch, wrapper)
    losses = {key for key in log if key.startswith("loss_")}
    assert losses == {f"loss_{task}" for task in config.model.heads}
    assert all(torch.isfinite(log[key]) for key in losses)
    changed = {k for k, p in model.named_parameters() if not torch.equal(p, before[k])}
    assert {f"heads.{task}.fc.weight" for task in config.model.heads} <= changed
    model.eval()
    test = DATASETS.build(config.test_dataloader.dataset)
    scored = model.test_step(batch_of(test, 1))[0]
    assert (
        scored.score_action.sum().item() == pytest.approx(1)
        if ("score_action" in scored)
        else scored.score_verb.sum().item() == pytest.approx(1)
    )


def test_views_are_those_of_the_authors_and_their_mean_is_the_score(roots):
    config, _ = shrink("video_mamba_tiny_ssv2", roots)
    test = DATASETS.build(config.test_dataloader.dataset)
    sample = test[0]
    video = sample["inputs"]["video"]  # 2 moments x 3 crops
    assert video.shape == (6, 3, FRAMES, SIDE, SIDE)
    record = test.get_record(0)
    reader = open_video(str(Path(test.data_root) / record["video"]), "auto", 1)
    tick = reader.num_frames / FRAMES
    for moment in range(2):
        index = [int(tick * i + moment * tick / 2) for i in range(FRAMES)]
        frames = reader.frames_at_index(index)
        height, width = frames[0].shape[:2]
        wide = round(width * SIDE / height)
        frames = [cv2.resize(frame, (wide, SIDE)) for frame in frames]
        step = (wide - SIDE) // 2
        for crop, left in enumerate((0, 2 * step, step)):
            view = np.stack([frame[:, left : left + SIDE] for frame in frames])
            got = video[2 * crop + moment].permute(1, 2, 3, 0).numpy()
            np.testing.assert_array_equal(got, view, err_msg=f"{moment} {crop}")
    torch.manual_seed(0)
    model = MODELS.build(config.model).eval()
    torch.nn.init.normal_(model.heads["action"].fc.weight, std=0.2)
    for layer in model.encoders["video"].layers:  # views that differ
        torch.nn.init.normal_(layer.mixer.out_proj.weight)
    alone = [
        model.test_step(
            dict(
                inputs=dict(video=video[None, view : view + 1]),
                data_samples=[sample["data_samples"].clone()],
            )
        )[0].score_action
        for view in range(6)
    ]
    together = model.test_step(fusion_collate([sample]))[0].score_action
    assert torch.stack(alone).std(0).max() > 1e-4
    torch.testing.assert_close(together, torch.stack(alone).mean(0))


def test_repeats_are_a_function_of_seed_and_epoch(roots):
    _, train = shrink("video_mamba_tiny_ssv2", roots)
    first, again, later = (
        train[SampleKey(1, epoch=epoch, seed=4)]["inputs"]["video"]
        for epoch in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first[0], first[1])  # the two repeats
