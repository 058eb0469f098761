"""Every config: loads, builds, has an optimizer, and takes one step at full size."""

import re

import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mmfusion.models.protocols import ReadsFrameByFrame
from mmfusion.registry import MODELS
from mmfusion.structures import ActionDataSample
from tests.configs.loaded import ROOT, load

CONFIGS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.py")
    if "_base_" not in path.parts
)
_OTHERS = (
    "custom/",
    "distill/",
    "egogestar/",
    "features/",
    "mambavl/",
    "pretrained/",
    "recognition/",
    "systems/",
)  # with tests of their own
OF_PAPER_A = [
    name
    for name in CONFIGS
    if not name.startswith(_OTHERS) and not name.endswith("_egogestar.py")
]
TABLE_2 = [name for name in CONFIGS if name.endswith(("h2o.py", "oakink2.py"))]
# OakInk2's models are H2O's, and Small is Tiny but for its width: a step of each kind
FULL_SIZE = [name for name in TABLE_2 if name.endswith("tiny_h2o.py")]
FULL_SIZE.append("cls_mix/cls_mix_average_small_h2o.py")
# those of online detection squash all frames alike, and crop none
NO_VIDEO = r"/(skeleton_mamba|causal_skeleton|text_only|online\w*|afft)_"
TINYEGO_WITH_VIDEO = [
    name
    for name in CONFIGS
    if "tinyego" in name
    and not name.startswith("features/")  # frames as a test has them, or none
    and not re.search(NO_VIDEO, name)
]

PARTS = ("train", "val", "test")


def build(name):
    config = load(name)
    return config, MODELS.build(config.model)


def batch_for(model, num_classes):
    inputs = {}
    for name, encoder in model.encoders.items():
        if isinstance(encoder, ReadsFrameByFrame):  # any number of frames
            frame = encoder.frame_shape
            shape = (1, 1, 3, 5, *frame[1:]) if name == "video" else (1, 1, 5, *frame)
        else:
            shape = (1, 1, *encoder.input_shape)
        if name == "video":
            inputs[name] = torch.randint(0, 256, shape).to(torch.uint8)
        else:
            inputs[name] = torch.randn(shape)
            inputs[f"{name}_mask"] = torch.ones(shape[:-1], dtype=torch.bool)
    sample = ActionDataSample(metainfo=dict(sample_id="made up"))
    sample.gt_action = torch.tensor(num_classes - 1)
    return dict(inputs=inputs, data_samples=[sample])


def test_table_2_is_complete():
    assert len(TABLE_2) == 24


def test_no_two_configs_share_a_work_folder():
    names = [name.rpartition("/")[2] for name in CONFIGS]
    assert sorted({name for name in names if names.count(name) > 1}) == []


@pytest.mark.parametrize("name", CONFIGS)
def test_opens_with_its_command_and_is_short(name):
    text = (ROOT / name).read_text()
    assert f"python tools/train.py configs/{name}" in text.split('"""')[1]
    assert len(text.splitlines()) < 40


@pytest.mark.parametrize("name", OF_PAPER_A)
def test_builds_and_has_an_optimizer(name):
    with torch.device("meta"):
        config, model = build(name)
    optim_wrapper = build_optim_wrapper(model, config.optim_wrapper)
    groups = optim_wrapper.optimizer.param_groups
    optimized = sum(len(group["params"]) for group in groups)
    assert optimized == len(list(model.parameters()))
    assert {group["weight_decay"] for group in groups} == {0.0, 0.05}
    datasets = [config[f"{part}_dataloader"].dataset for part in PARTS]
    assert len({dataset.data_root for dataset in datasets}) == 1
    assert len({dataset.get("ann_file") for dataset in datasets}) == 1
    assert datasets[1].pipeline == datasets[2].pipeline  # val and test


@pytest.mark.parametrize("name", CONFIGS)
def test_a_missing_annotation_names_a_tool_that_is_there(name):
    config = load(name)
    for part in PARTS:
        dataset = config[f"{part}_dataloader"].dataset
        if "made_by" not in dataset:
            continue  # EPIC-KITCHENS-100 reads its csv files
        for command in dataset.made_by.split(" && "):
            program, tool, *options = command.split()
            assert program == "python" and (ROOT.parent / tool).is_file()
            assert {"{data_root}"} < {*options}
        if "data/tinyego" in dataset.data_root:
            assert dataset.made_by.startswith("python tools/data/tinyego/generate.py")


@pytest.mark.parametrize("name", TINYEGO_WITH_VIDEO)
def test_crops_keep_the_shape_of_the_frames_that_testing_squashes(name):
    config = load(name)
    pipelines = [config[f"{part}_dataloader"].dataset.pipeline for part in PARTS]
    train, val, test = (
        {str(step["type"]).removeprefix("mmaction."): step for step in pipeline}
        for pipeline in pipelines
    )
    low, high = train["RandomResizedCrop"]["aspect_ratio_range"]
    assert low < 16 / 9 < high
    for pipeline in (val, test):
        assert "CenterCrop" not in pipeline
        assert not pipeline["Resize"]["keep_ratio"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL_SIZE)
def test_one_step_at_full_size(name):
    config, model = build(name)
    optim_wrapper = build_optim_wrapper(model, config.optim_wrapper)
    batch = batch_for(model, config.model.heads.action.num_classes)
    losses = model(**model.data_preprocessor(batch), mode="loss")
    losses["loss_action"].backward()
    assert torch.isfinite(losses["loss_action"])
    assert [key for key, p in model.named_parameters() if p.grad is None] == []
    before = model.heads["action"].fc.weight.clone()
    optim_wrapper.step()
    assert not torch.equal(model.heads["action"].fc.weight, before)
