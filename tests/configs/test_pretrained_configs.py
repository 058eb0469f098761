"""configs/pretrained: what is None comes from the files of a published model."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mmfusion.analysis.flops import count_config
from mmfusion.engine.launch.completion import complete_config
from mmfusion.registry import MODELS
from mmfusion.utils.errors import ConfigError
from tests.configs.custom_files import write_custom
from tests.configs.loaded import load
from tests.configs.test_configs import CONFIGS
from tests.models.backbones.hf_models import published

PRETRAINED = [name for name in CONFIGS if name.startswith("pretrained/")]


def loaded(folder, name, **encoder):
    write_custom(folder, video="a.mp4")
    config = load(name)
    config.train_dataloader.dataset.data_root = str(folder)
    config.model.encoders.video.update(encoder)
    return config


@pytest.fixture
def small(tmp_path):
    """A small model with a processor file; the folders of clips and of the model."""
    folder = tmp_path / "published"
    folder.mkdir()
    published(folder, "videomae")
    return tmp_path, dict(pretrained=str(folder), hf_config=None)


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_config_names_the_checkpoint_and_gets_the_rest(small, name):
    config = loaded(small[0], name, **small[1])
    config.model.neck.num_heads = 4
    complete_config(config)
    video = config.model.encoders.video
    assert (video.num_frames, video.img_size, video.embed_dims) == (4, 32, 16)
    assert config.model.heads.action.in_dims == config.model.neck.embed_dims == 16
    pixels = config.model.data_preprocessor
    assert pixels.mean == pytest.approx([102.0, 127.5, 153.0])
    assert pixels.std == pytest.approx([51.0, 63.75, 76.5])
    train, test = (
        config[f"{part}_dataloader"].dataset.pipeline for part in ("train", "test")
    )
    assert train[0].num_frames == test[0].num_frames == dict(video=4)
    assert train[3].scale == (32, 32)
    assert (test[2].size, test[2].resample, test[3].crop_size) == (
        36,
        "bilinear",
        (32, 32),
    )
    before = config.pretty_text
    complete_config(config)
    assert config.pretty_text == before
    model = MODELS.build(config.model)
    build_optim_wrapper(model, config.optim_wrapper)
    model.init_weights()
    made = model.run(dict(video=torch.randn(1, 1, 3, 4, 32, 32)))
    assert made.logits["action"].shape == (1, 3)


def test_another_size_changes_the_resizing(tmp_path):
    folder = tmp_path / "published"
    folder.mkdir()
    published(folder, "vjepa2")
    given = dict(pretrained=str(folder), hf_config=None, img_size=64, num_frames=6)
    config = loaded(tmp_path, PRETRAINED[0], **given)
    complete_config(config)
    test = config.test_dataloader.dataset.pipeline
    assert (test[2].size, test[3].crop_size) == (72, (64, 64))
    assert test[0].num_frames == dict(video=6)


def test_what_the_files_do_not_tell_names_its_key(small):
    config = loaded(small[0], PRETRAINED[0], pretrained="no/where", hf_config=None)
    with pytest.raises(ConfigError, match=r"(?s)model\.encoders\.video: .*hf download"):
        complete_config(config)
    config = loaded(small[0], PRETRAINED[0], pretrained=None)
    with pytest.raises(ConfigError, match=r"data_preprocessor\.mean: got None, and"):
        complete_config(config)


def test_costs_are_counted_without_the_weights(tmp_path):
    small = dict(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=64
    )
    hf_config = dict(model_type="videomae", num_frames=4, **small)
    config = loaded(tmp_path, PRETRAINED[1], hf_config=hf_config)
    config.model.data_preprocessor.update(mean=[0.0] * 3, std=[1.0] * 3)
    for part in ("val", "test"):
        steps = config[f"{part}_dataloader"].dataset.pipeline
        steps[2].update(size=64, resample="bilinear")
        steps[3].crop_size = 64
    complete_config(config)
    _, counts, shapes = count_config(config, {})
    assert shapes["video"] == (3, 4, 64, 64)
    # keys and values of 32 tokens and the attention; all else is the one query's
    tokens, d = 32, 32
    wanted = 2 * (2 * tokens * d * d + 2 * tokens * d + (1 + 8) * d * d)
    assert counts["neck"] == pytest.approx(wanted)
