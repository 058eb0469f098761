"""Every model of configs/_base_/models/mambavl_*.py: loads, builds, takes a step."""

from pathlib import Path

import pytest
import torch

from mmfusion.engine import FusionOptimWrapper
from mmfusion.engine.launch.config_check import load_config
from mmfusion.registry import MODELS
from mmfusion.structures import ActionDataSample
from mmfusion.tinyego import kitchen

ROOT = Path(__file__).parents[2] / "configs" / "_base_" / "models"
MODELS_OF_B = sorted(path.stem for path in ROOT.glob("mambavl_*.py"))
FUSION = {"base": 9_288_192, "large": 16_185_344}  # as paper B's Table 4 counts it


def load(name):
    return load_config(ROOT / f"{name}.py").model


def make_batch(config, model, size=2):
    """Questions of 6 tokens; the second clip's are shorter."""
    video, skeleton = config.encoders.video, config.encoders.get("skeleton")
    side = video.get("img_size", 224)
    shape = (size, 1, 3, video.num_frames, side, side)
    text = torch.randint(3, 200, (size, 1, 2, 6))
    mask = torch.ones_like(text, dtype=torch.bool)
    mask[1, ..., 4:] = False
    inputs = dict(
        video=torch.randint(0, 256, shape).to(torch.uint8),
        text=text.masked_fill(~mask, 1),
        text_mask=mask,
    )
    if skeleton:
        inputs["skeleton"] = torch.randn(size, 1, skeleton.num_frames, 42, 3)
    samples = []
    for index in range(size):
        sample = ActionDataSample(metainfo=dict(sample_id=str(index)))
        for task, head in model.heads.items():
            sample.set_field(torch.tensor(head.num_classes - 1 - index), f"gt_{task}")
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


@pytest.mark.parametrize("name", MODELS_OF_B)
def test_builds_and_counts(name):
    config = load(name)
    with torch.device("meta"):
        model = MODELS.build(config)
    assert set(model.heads) == {"verb", "noun"}
    if "nano" not in name:
        assert [head.num_classes for head in model.heads.values()] == [97, 300]
        assert not any(p.requires_grad for p in model.encoders["text"].parameters())
    expected = FUSION.get(name.removeprefix("mambavl_"))
    if expected:
        assert sum(p.numel() for p in model.neck.parameters()) == expected


@pytest.mark.parametrize("name", [n for n in MODELS_OF_B if "nano" in n])
def test_every_parameter_learns(name):
    config = load(name)
    model = MODELS.build(config)
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    log = model.train_step(make_batch(config, model), FusionOptimWrapper(optimizer))
    assert {"loss_verb", "loss_noun", "acc_verb", "acc_noun"} <= set(log)
    still = [key for key, p in model.named_parameters() if torch.equal(p, before[key])]
    assert still == []


@pytest.mark.slow
def test_one_step_at_full_width():
    """ViT-B's model but for its frames, their size and the vocabulary."""
    config = load("mambavl_base")
    config.encoders.video.update(img_size=32, num_frames=2)
    words = dict(model_type="roberta", vocab_size=500)
    config.encoders.text.update(pretrained=None, hf_config=words)
    model = MODELS.build(config)
    batch = model.data_preprocessor(make_batch(config, model), True)
    assert "own_share" in batch["data_samples"][0]  # mixed
    losses = model(**batch, mode="loss")
    (losses["loss_verb"] + losses["loss_noun"]).backward()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert [n for n, p in trained.items() if p.grad is None] == []
    assert model.neck.layers[0].A_log.grad.abs().any()


def test_answers_are_the_classes_of_tinyego():
    heads = load("mambavl_nano_answer").heads
    assert tuple(heads.noun.class_names) == kitchen.NOUNS
    assert heads.verb.class_names == [verb.name for verb in kitchen.VERBS]
