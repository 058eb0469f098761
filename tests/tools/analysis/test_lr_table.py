from pathlib import Path

import pytest
from lr_table import follow, main, titles_of
from mmengine.config import Config

from mmfusion.engine.launch.config_check import load_config

CONFIG = """
from mmengine.config import read_base
from mmengine.model import BaseModel

from mmfusion.models import MultiModalRecognizer, SharedSSMFusion, TextEncoder
from mmfusion.models import ClassificationHead, VideoMamba

with read_base():
    from {base} import *

model = dict(
    type=MultiModalRecognizer,
    encoders=dict(
        video=dict(type=VideoMamba, arch="nano", num_frames=2, img_size=32),
        text=dict(
            type=TextEncoder,
            pretrained=None,
            hf_config=dict(
                model_type="roberta",
                vocab_size=20,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
            ),
            mode="embeddings",
        ),
    ),
    neck=dict(
        type=SharedSSMFusion,
        embed_dims=64,
        streams=dict(video=dict(), text=dict(in_dims=16, mlp=True)),
    ),
    heads=dict(verb=dict(type=ClassificationHead, num_classes=3, in_dims=64)),
)
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    root = Path(__file__).parents[3] / "configs"
    folder = tmp_path_factory.mktemp("config")
    (folder / "_base_").symlink_to(root / "_base_")
    path = folder / "fusion.py"
    path.write_text(CONFIG.format(base="._base_.schedules.mambavl_100e"))
    return path, load_config(path)


@pytest.fixture(scope="module")
def groups(config):
    return follow(config[1], steps=10)


def test_each_group_warms_up_to_its_own_peak(groups):
    assert {round(group.peak, 9) for group in groups} == {3e-3, 1e-3}
    for group in groups:
        rates, peak = group.rates, group.peak
        assert len(rates) == 1000
        assert rates[0] == pytest.approx(peak * 1e-3)
        assert rates.index(peak) in (19, 20)  # after two epochs
        assert rates[:20] == sorted(rates[:20])
        assert rates[20:] == sorted(rates[20:], reverse=True)
        assert peak * 1e-2 < rates[-1] < peak * 1.01e-2


def test_all_groups_follow_one_curve(groups):
    base = next(group for group in groups if group.peak == pytest.approx(1e-3))
    for group in groups:
        ratio = group.peak / base.peak
        assert group.rates == pytest.approx([ratio * x for x in base.rates])


def test_the_fusion_has_three_times_the_rate_and_no_decay_where_none_belongs(groups):
    for group in groups:
        for name in group.names:
            assert (group.peak == pytest.approx(3e-3)) == name.startswith("neck.")
            last = name.rsplit(".", 1)[-1]
            matrix = last == "weight" and "norm" not in name
            assert group.weight_decay == (4e-5 if matrix else 0.0), name
    names = [name for group in groups for name in group.names]
    assert "neck.layers.0.A_log" in names and len(set(names)) == len(names)
    assert not [name for name in names if name.startswith("encoders.text")]  # frozen


def test_rates_are_scaled_with_the_batch(config):
    groups = follow(config[1], steps=2, scale=0.5)
    assert groups[0].peak == pytest.approx(1.5e-3)


def test_the_command_writes_the_table_and_the_plot(config, tmp_path, capsys):
    out = tmp_path / "lr.png"
    options = ["--steps", "2", "--batch-size", "256", "--list", "--out", str(out)]
    assert main([str(config[0]), *options]) == 0
    text = capsys.readouterr().out
    assert "neck" in text and "0.006" in text and "neck.layers.0.A_log" in text
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_config_that_trains_nothing_is_refused(tmp_path, capsys):
    path = tmp_path / "empty.py"
    path.write_text("model = dict()\n")
    assert main([str(path)]) == 2
    assert "no optim_wrapper" in capsys.readouterr().err
    with pytest.raises(Exception, match="no train_cfg"):
        follow(Config(dict(optim_wrapper=dict(type="x"))))


def test_the_anticipation_recipe_steps_down_twice(config, tmp_path):
    path = tmp_path / "anticipation.py"
    (tmp_path / "_base_").symlink_to(config[0].parent / "_base_")
    base = "._base_.schedules.mambavl_anticipation_50e"
    path.write_text(CONFIG.format(base=base))
    groups = follow(load_config(path), steps=1)
    parts = {
        name.split(".")[1 if name.startswith("encoders") else 0]: group
        for group in groups
        for name in group.names
    }
    peaks = {part: group.rates[0] for part, group in parts.items()}
    assert peaks == pytest.approx(dict(video=1e-5, neck=2e-4, heads=2e-5))
    for group in groups:
        first = group.rates[0]
        expected = [first] * 19 + [first / 10] * 21 + [first / 100] * 10
        assert group.rates == pytest.approx(expected)


def test_layers_of_several_rates_are_named_and_no_number_is_cut(tmp_path, capsys):
    name = "recognition/video_mamba_tiny_ssv2.py"
    path = Path(__file__).parents[3] / "configs" / name
    option = "optim_wrapper.paramwise_cfg.layer_decay.form=intended"
    out = tmp_path / "lr.png"
    command = [str(path), "--steps", "1", "--out", str(out), "--cfg-options", option]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "encoders.video.layers.23" in text and "0.0012" in text
    assert "\u2026" not in text  # an ellipsis
    groups = follow(load_config(path), steps=1)
    assert any("patch_embed" in title for title in titles_of(groups))


def test_actions_that_are_not_there_are_named(capsys):
    path = Path(__file__).parents[3] / "configs/recognition/avion_base_ek100.py"
    option = "model.heads.action.pairs=nowhere/actions.csv"
    assert main([str(path), "--cfg-options", option]) == 2
    assert "nowhere/actions.csv" in capsys.readouterr().err
