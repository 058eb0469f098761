"""configs/custom, derived from in a folder outside the repository."""

import pytest
from mmengine.config import Config

from mmfusion.engine.launch.completion import complete_config
from mmfusion.engine.launch.config_check import load_config
from mmfusion.registry import MODELS
from tests.configs.custom_files import BODY15, HAND20, write_custom
from tests.configs.test_configs import CONFIGS
from tests.tools.command import run_tool

CUSTOM = [name for name in CONFIGS if name.startswith("custom/")]
WITH_SKELETONS = [name for name in CUSTOM if "video" not in name]
QUICK = [
    f"{part}_dataloader.{key}"
    for part in ("train", "val", "test")
    for key in ("num_workers=0", "dataset.clip_timeout=None")
]
QUICK += ["train_cfg.val_interval=3", "model.encoders.skeleton.num_frames=8"]


def derive(folder, name="skeleton_mamba", *lines):
    """A user's config of five lines in a folder of theirs."""
    path = folder / "mine.py"
    head = "from mmengine.config import read_base\n\nwith read_base():\n"
    base = f"    from mmfusion.configs.custom.{name} import *\n"
    root = f'train_dataloader.dataset.data_root = "{folder}"'
    path.write_text(head + base + "\n".join([root, *lines]) + "\n")
    return path


def train(folder, *lines, name="skeleton_mamba", options=()):
    path = derive(folder, name, *lines)
    work = ["--work-dir", folder / "out"]
    return run_tool("train", path, *work, "--cfg-options", *QUICK, *options)


def completed(folder, name="skeleton_mamba", *lines):
    config = load_config(derive(folder, name, *lines))
    complete_config(config)
    return config


def check_dumped(folder, joints, hands):
    dumped = Config.fromfile(folder / "out/mine.py")
    encoder = dumped.model.encoders.skeleton
    assert (encoder.num_joints, encoder.num_hands) == (joints, hands)
    head = dumped.model.heads.action
    assert (head.num_classes, head.in_dims) == (3, 64)
    assert dumped.param_scheduler[1].T_max == 1 and dumped.param_scheduler[1].end == 3
    assert dumped.test_dataloader.dataset.data_root == str(folder)


@pytest.mark.parametrize(
    ("skeleton", "joints", "hands"),
    [(BODY15, 15, 1), (HAND20, 20, 1)],
    ids=["body of 15 in 2-D", "hand of 20"],
)
def test_each_kind_trains_by_five_lines(tmp_path, skeleton, joints, hands):
    write_custom(tmp_path, skeleton)
    done = train(tmp_path, "train_cfg.max_epochs = 3")
    assert done.returncode == 0, done.stderr
    check_dumped(tmp_path, joints, hands)


def test_two_hands_train_once_and_are_tested_by_either_config(tmp_path):
    write_custom(tmp_path)
    assert train(tmp_path, "train_cfg.max_epochs = 3").returncode == 0
    check_dumped(tmp_path, joints=42, hands=2)
    again = train(tmp_path, "train_cfg.max_epochs = 3")
    assert again.returncode == 0 and "saved epoch" not in again.stdout + again.stderr
    other = train(tmp_path, "train_cfg.max_epochs = 4")
    assert other.returncode == 2 and "train_cfg.max_epochs" in other.stderr
    out, best = tmp_path / "scores.json", tmp_path / "out/best.pth"
    for config in (tmp_path / "mine.py", tmp_path / "out/mine.py"):
        options = ["--dump", out, "--work-dir", tmp_path / "test", "--cfg-options"]
        done = run_tool("test", config, best, *options, *QUICK)
        assert done.returncode == 0, done.stderr
        assert out.exists()
        out.unlink()


@pytest.mark.parametrize("name", CUSTOM)
def test_every_config_builds_from_the_annotation(tmp_path, name):
    write_custom(tmp_path, video="a.mp4")
    config = completed(tmp_path, name.removeprefix("custom/").removesuffix(".py"))
    model = MODELS.build(config.model)
    for stream, encoder in model.encoders.items():
        pipeline = config.train_dataloader.dataset.pipeline
        if stream in ("video", "skeleton"):
            count = encoder.input_shape[1 if stream == "video" else 0]
            assert pipeline[0].num_frames[stream] == count
    assert config.test_dataloader.dataset.split == "test"
    assert config.val_dataloader.dataset.split == "val"
    before = config.pretty_text
    complete_config(config)
    assert config.pretty_text == before


def test_one_value_each(tmp_path):
    write_custom(tmp_path, video="a.mp4")
    lines = [
        'model.encoders.video.update(arch="tiny", num_frames=16, img_size=160)',
        "train_cfg.max_epochs = 90",
    ]
    config = completed(tmp_path, "cls_mix_average", *lines)
    assert config.model.encoders.skeleton.arch == "tiny"
    assert config.model.neck.embed_dims == config.model.heads.action.in_dims == 192
    for loader in ("train", "val", "test"):
        pipeline = config[f"{loader}_dataloader"].dataset.pipeline
        assert pipeline[0].num_frames == dict(video=16, skeleton=32)
        sizes = [step.scale for step in pipeline if "scale" in step and "keep" in step]
        assert all(size == (160, 160) for size in sizes)
    assert config.param_scheduler[1].T_max == 88
    MODELS.build(config.model)
