"""The systems of configs/systems: their sizes, and a step of each in a kitchen."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmfusion.datasets import fusion_collate
from mmfusion.engine.launch.config_check import load_config
from mmfusion.registry import DATASETS, MODELS
from mmfusion.tinyego import WorldConfig, generate
from tools.data.ek100 import prepare

ROOT = Path(__file__).parents[2] / "configs" / "systems"
CONFIGS = sorted(path.stem for path in ROOT.glob("*.py"))
SMALL = WorldConfig(seed=5, num_train=12, num_val=12, num_test=0, height=72)
SIDE, FRAMES = 32, 3
PARAMETERS = {"avt_base_ek100_anticipation": 396_122_078}


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory):
    root = tmp_path_factory.mktemp("kitchen")
    generate(root, "ek100", SMALL)
    prepare.main(["--root", str(root)])
    return str(root)


@pytest.mark.parametrize("name", CONFIGS)
def test_builds_with_an_optimizer_for_every_parameter(name):
    config = load_config(ROOT / f"{name}.py")
    with torch.device("meta"):
        model = MODELS.build(config.model)
    groups = build_optim_wrapper(model, config.optim_wrapper).optimizer.param_groups
    parameters = list(model.parameters())
    assert sum(len(group["params"]) for group in groups) == len(parameters)
    if name in PARAMETERS:
        assert sum(p.numel() for p in parameters) == PARAMETERS[name]
    datasets = [config[f"{part}_dataloader"].dataset for part in ("val", "test")]
    assert datasets[0].pipeline == datasets[1].pipeline


def shrink(config, root):
    """The config at the smallest sizes, on the small kitchen."""
    for part in ("train", "val", "test"):
        dataset = config[f"{part}_dataloader"].dataset
        dataset.data_root = root
        for step in dataset.pipeline:
            if "num_frames" in step:
                step.num_frames = {stream: FRAMES for stream in step.num_frames}
            if "scale" in step:
                step.scale = (-1, SIDE) if step.scale[0] == -1 else (SIDE, SIDE)
            if "crop_size" in step:
                step.crop_size = SIDE
    model = config.model
    model.encoders.video.update(
        arch="nano", img_size=SIDE, num_frames=FRAMES, init_cfg=None
    )
    model.neck.update(in_dims=64, embed_dims=32, depth=1)
    for head in model.heads.values():
        head.in_dims = 64


@pytest.mark.parametrize("name", CONFIGS)
def test_a_real_step_on_generated_clips(name, kitchen):
    config = load_config(ROOT / f"{name}.py")
    shrink(config, kitchen)
    torch.manual_seed(0)
    train = DATASETS.build(config.train_dataloader.dataset)
    for task, head in config.model.heads.items():
        head.num_classes = len(train.get_classes(task))
    model = MODELS.build(config.model)
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    wrapper = build_optim_wrapper(model, Config(dict(config.optim_wrapper)))
    batch = fusion_collate([train[index] for index in range(len(train))])
    assert any((x.past_verb >= 0).any() for x in batch["data_samples"])
    log = model.train_step(batch, wrapper)
    expected = {f"loss_{task}" for task in config.model.heads}
    expected |= {f"loss_past_{task}" for task in config.model.heads}
    assert {*expected, "loss_observed_feature"} == {k for k in log if "loss_" in k}
    assert all(torch.isfinite(value) for value in log.values())
    changed = {k for k, p in model.named_parameters() if not torch.equal(p, before[k])}
    assert {"neck.decoder.weight", "neck.gpt_model.wpe.weight"} <= changed
    model.eval()
    test = DATASETS.build(config.test_dataloader.dataset)
    scored = model.test_step(fusion_collate([test[0]]))[0]
    for task in config.model.heads:
        assert scored.get(f"score_{task}").sum().item() == pytest.approx(1)
