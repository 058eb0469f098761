"""The systems of configs/systems: their sizes, and a step of each in a kitchen."""

import json
from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmfusion.analysis.meta_device import without_content
from mmfusion.datasets import fusion_collate
from mmfusion.datasets.transforms.load_features import RULSTM_KEY
from mmfusion.registry import DATASETS, MODELS
from mmfusion.tinyego import WorldConfig, generate
from tests.configs.loaded import ROOT, load
from tools.data.ek100 import prepare

CONFIGS = sorted(path.stem for path in (ROOT / "systems").glob("*.py"))
SMALL = WorldConfig(seed=5, num_train=12, num_val=12, num_test=0, height=72)
SIDE, FRAMES, WIDTH = 32, 4, 8
MEMORY = dict(num_frames=8, num_clips=2)  # of each clip, for MeMViT
PARAMETERS = {
    "avt_base_ek100_anticipation": 396_122_078,
    "inavit_ek100_anticipation": 118_389_901,
    "memvit_16_ek100": 34_937_821,
    "memvit_16_ek100_anticipation": 34_937_821,
    "memvit_24_ek100": 51_904_957,
    "memvit_24_ek100_anticipation": 51_904_957,
    "omnivore_base_ek100": 92_556_838,
}


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory):
    root = tmp_path_factory.mktemp("kitchen")
    generate(root, "ek100", SMALL)
    prepare.main(["--root", str(root)])
    write_features(root / "features" / "rgb", root)
    return str(root)


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.parametrize("name", CONFIGS)
def test_builds_with_an_optimizer_for_every_parameter(name):
    config = load(f"systems/{name}.py")
    with without_content():
        model = MODELS.build(config.model)
    groups = build_optim_wrapper(model, config.optim_wrapper).optimizer.param_groups
    parameters = list(model.parameters())
    assert sum(len(group["params"]) for group in groups) == len(parameters)
    if name in PARAMETERS:
        assert sum(p.numel() for p in parameters) == PARAMETERS[name]
    datasets = [config[f"{part}_dataloader"].dataset for part in ("val", "test")]
    assert datasets[0].pipeline == datasets[1].pipeline


def write_features(folder, root):
    """Five features a second of every film, in RULSTM's layout."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    text = (Path(root) / "mmfusion" / "annotation.json").read_text()
    films = {record["extra"]["video_id"] for record in json.loads(text)["data_list"]}
    with lmdb.open(str(folder), map_size=2**24) as env, env.begin(write=True) as made:
        for film in sorted(films):
            for number in range(1, 30 * 60, 6):
                value = rng.standard_normal(WIDTH, np.float32)
                made.put(RULSTM_KEY.format(video_id=film, frame=number).encode(), value)


def shrink(config, root):
    """The config at the smallest sizes, on the small kitchen."""
    for part in ("train", "val", "test"):
        dataset = config[f"{part}_dataloader"].dataset
        dataset.data_root = root
        for step in dataset.pipeline:
            if "num_frames" in step:
                step.num_frames = {stream: FRAMES for stream in step.num_frames}
            if "num_clips" in step:
                step.update(MEMORY, num_frames=dict(video=16))
            if "scale" in step:
                step.scale = (-1, SIDE) if step.scale[0] == -1 else (SIDE, SIDE)
            if "scale_range" in step:
                step.scale_range = (SIDE + 4, SIDE + 8)
            for key in ("size", "crop_size"):
                if key in step:
                    step[key] = SIDE
            if "names" in step:  # the kitchen has one object
                step.names = [None if x == "object 2" else x for x in step.names]
            if "path" in step:
                step.update(width=WIDTH, path="features/rgb")
    model = config.model
    width = WIDTH
    for encoder in model.encoders.values():
        if "arch" in encoder:
            width = 128 if encoder.type.__name__ in ("MeMViT", "Omnivore") else 64
            sizes = dict(arch="nano", img_size=SIDE, num_frames=FRAMES)
            sizes |= MEMORY if "num_clips" in encoder else {}
            encoder.update(sizes, init_cfg=None)
        else:
            encoder.in_dims = WIDTH
    if model.get("neck"):
        model.neck.update(in_dims=width, embed_dims=32, depth=1)
    if model.get("neck") and model.neck.get("fuser"):
        streams = {stream: WIDTH for stream in model.encoders}
        model.neck.fuser.update(streams=streams, embed_dims=width, depth=1)
    for head in model.heads.values():
        head.in_dims = width


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.parametrize("name", CONFIGS)
def test_a_real_step_on_generated_clips(name, kitchen):
    config = load(f"systems/{name}.py")
    shrink(config, kitchen)
    torch.manual_seed(0)
    train = DATASETS.build(config.train_dataloader.dataset)
    for task, head in config.model.heads.items():
        head.num_classes = len(train.get_classes(task))
    model = MODELS.build(config.model)
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    wrapper = build_optim_wrapper(model, Config(dict(config.optim_wrapper)))
    batch = fusion_collate([train[index] for index in range(6)])
    if config.train_dataloader.dataset.get("past_seconds", 0) > 5:  # else perhaps none
        assert any((x.past_verb >= 0).any() for x in batch["data_samples"])
    log = model.train_step(batch, wrapper)
    expected = {f"loss_{task}" for task in config.model.heads}
    if config.model.get("auxiliary"):
        expected |= {f"loss_past_{task}" for task in config.model.heads}
        expected.add("loss_observed_feature")
    assert expected == {key for key in log if "loss_" in key}
    assert all(torch.isfinite(value) for value in log.values())
    changed = {k for k, p in model.named_parameters() if not torch.equal(p, before[k])}
    if config.model.get("neck"):
        assert {"neck.decoder.weight", "neck.gpt_model.wpe.weight"} <= changed
    assert {f"heads.{task}.fc.weight" for task in config.model.heads} <= changed
    model.eval()
    test = DATASETS.build(config.test_dataloader.dataset)
    scored = model.test_step(fusion_collate([test[0]]))[0]
    for task in config.model.heads:
        assert scored.get(f"score_{task}").sum().item() == pytest.approx(1)
