"""configs/custom, derived from in a folder outside the repository."""

import re

import pytest
from mmengine.config import Config

from mmfusion.datasets.annotation import write_annotation
from mmfusion.engine.launch import completion
from mmfusion.engine.launch.completion import complete_config
from mmfusion.engine.launch.config_check import load_config
from mmfusion.registry import MODELS
from mmfusion.utils.errors import ConfigError
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
        'train_dataloader.dataset.link_roots = ["/videos"]',
        'model.encoders.video.update(arch="tiny", num_frames=16, img_size=160)',
        "train_cfg.max_epochs = 90",
    ]
    config = completed(tmp_path, "cls_mix_average", *lines)
    assert config.model.encoders.skeleton.arch == "tiny"
    assert config.model.neck.embed_dims == config.model.heads.action.in_dims == 192
    for loader in ("train", "val", "test"):
        assert config[f"{loader}_dataloader"].dataset.link_roots == ["/videos"]
        pipeline = config[f"{loader}_dataloader"].dataset.pipeline
        assert pipeline[0].num_frames == dict(video=16, skeleton=32)
        sizes = [step.scale for step in pipeline if "scale" in step and "keep" in step]
        assert all(size == (160, 160) for size in sizes)
    assert config.param_scheduler[1].T_max == 88
    MODELS.build(config.model)


def with_backbone(folder, arguments):
    lines = [
        "from tests.configs.tubelet_mean import TubeletMean",
        f"model.encoders.video = dict(type=TubeletMean{arguments})",
    ]
    return completed(folder, "cls_mix_average", *lines)


@pytest.mark.parametrize(
    ("arguments", "width", "arch"),
    [("", 64, "nano"), (", embed_dims=192", 192, "tiny")],
)
def test_a_backbone_without_arch_tells_its_width(tmp_path, arguments, width, arch):
    write_custom(tmp_path, video="a.mp4")
    config = with_backbone(tmp_path, arguments)
    assert config.model.encoders.skeleton.arch == arch
    assert config.model.neck.embed_dims == config.model.heads.action.in_dims == width
    pipeline = config.train_dataloader.dataset.pipeline
    assert pipeline[0].num_frames == dict(video=8, skeleton=32)
    assert (112, 112) in [step.get("scale") for step in pipeline]
    before = config.pretty_text
    complete_config(config)
    assert config.pretty_text == before
    MODELS.build(config.model)


def test_a_width_that_no_arch_has_names_the_line(tmp_path):
    write_custom(tmp_path, video="a.mp4")
    message = r"skeleton\.arch: .* before it, 100; write model\.enc.*\.arch = 'nano'"
    with pytest.raises(ConfigError, match=message):
        with_backbone(tmp_path, ", embed_dims=100")


@pytest.mark.parametrize(
    ("epochs", "spans"),
    [
        (1, [(0, 1)]),
        (2, [(0, 1), (1, 2)]),
        (3, [(0, 2), (2, 3)]),
        (40, [(0, 2), (2, 40)]),
    ],
)
def test_the_warm_up_is_shorter_in_a_short_training(tmp_path, epochs, spans):
    write_custom(tmp_path)
    line = f"train_cfg.max_epochs = {epochs}"
    config = completed(tmp_path, "skeleton_mamba", line)
    assert [(one.begin, one.end) for one in config.param_scheduler] == spans
    last = config.param_scheduler[-1]
    assert last.T_max == last.end - last.begin
    before = config.pretty_text
    complete_config(config)
    assert config.pretty_text == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('train_dataloader.dataset.data_root = "x"', r"dataset\.data_root: .*prepare"),
        ('train_dataloader.dataset.ann_file = "a.jso"', r"dataset\.ann_file\)"),
        (
            'train_dataloader.dataset.split = "tra"',
            r"train_dataloader\.dataset: .*'tra",
        ),
        ("model.heads = dict(verb=model.heads.action)", r"heads\.verb: .*\['action'\]"),
        ("model.heads.action.num_classes = 7", r"num_classes: got 7, .* has 3"),
        ("model.heads.action.in_dims = 192", r"in_dims: got 192, .*width of 64"),
        ("model.encoders.skeleton.num_joints = 21", r"num_joints: got 21, .* has 42"),
        ("model.encoders.skeleton.num_hands = 1", r"num_hands: got 1, .* has 2"),
        ('model.encoders.skeleton.arch = "tini"', "'tini': expected one of .*'tiny'"),
        ('model.encoders.skeleton.num_frames = "8"', "num_frames: got '8', expected a"),
        ("model.encoders.skeleton.num_frames = None", "num_frames: got None"),
        ("model.encoders.skeleton.num_frame = 8", "num_frame'; nearest: num_frames"),
        ("num_frames = 8", r"nearest: model\.encoders\.skeleton\.num_frames"),
        ('data_root = "x"', r"nearest: .*train_dataloader\.dataset\.data_root"),
        ("train_dataloader.bach_size = 4", "bach_size'; nearest: batch_size"),
        (
            "train_cfg.max_epochs = 2; param_scheduler[0].end = 2",
            "max_epochs: got 2, expected more than 2",
        ),
        ('train_cfg.max_epochs = "9"', "max_epochs: got '9', expected a whole"),
        ('val_dataloader.dataset.ann_file = "b.json"', r"val_dataloader.*b\.json"),
    ],
)
def test_a_wrong_line_is_told_by_its_key(tmp_path, line, message):
    write_custom(tmp_path)
    with pytest.raises(ConfigError, match=message) as caught:
        completed(tmp_path, "skeleton_mamba", line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lacks", ["video", "skeleton"])
def test_a_stream_that_the_annotation_lacks(tmp_path, lacks):
    metainfo, records = write_custom(tmp_path, video="a.mp4")
    records = [{k: v for k, v in r.items() if k != lacks} for r in records]
    write_annotation(tmp_path / "annotation.json", metainfo, records)
    message = rf"train_dataloader.dataset: 12 of 12 records .*require=\['{lacks}'\]"
    for name in (f"{lacks}_mamba", "cls_mix_average"):
        with pytest.raises(ConfigError, match=message):
            completed(tmp_path, name)


def test_an_annotation_that_does_not_tell_its_joints(tmp_path):
    metainfo, records = write_custom(tmp_path)
    for skeleton in ({"layout": "mediapipe"}, {"layout": "kinect", "hands": ["a"]}):
        other = {**metainfo, "skeleton": skeleton}
        write_annotation(tmp_path / "annotation.json", other, records)
        with pytest.raises(ConfigError, match=r"encoders\.skeleton: .*lacks hands, or"):
            completed(tmp_path)


def test_other_classes_in_the_annotation_of_the_test(tmp_path):
    metainfo, records = write_custom(tmp_path)
    other = {**metainfo, "classes": {"action": ["down", "up", "round"]}}
    write_annotation(tmp_path / "test.json", other, records)
    line = 'test_dataloader.dataset.ann_file = "test.json"'
    with pytest.raises(
        ConfigError, match=r"test_dataloader\.dataset\.ann_file: .*down"
    ):
        completed(tmp_path, "skeleton_mamba", line)


def test_a_class_that_no_clip_trains_is_told(tmp_path, monkeypatch):
    metainfo, records = write_custom(tmp_path)
    metainfo["classes"]["action"].append("left")
    write_annotation(tmp_path / "annotation.json", metainfo, records)
    told = []
    monkeypatch.setattr(completion, "print_log", lambda text, *_: told.append(text))
    config = completed(tmp_path)
    assert config.model.heads.action.num_classes == 4
    assert "1 of 4 classes of 'action' have no clip in split 'train'" in told[0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['val_dataloader.dataset.split = "val2"'], r"val_dataloader\.dataset: .*val2"),
        (
            ["train_dataloader.update(batch_size=64, drop_last=True)"],
            r"12 samples in batches of 64, .*train_dataloader\.batch_size",
        ),
        (
            [
                "model.heads.action.num_classes = 3",
                "model.encoders.skeleton.update(num_joints=21, num_hands=1)",
            ],
            r"num_hands: it is 1, but .* has 2",
        ),
    ],
    ids=["no val", "large batch", "numbers of another set"],
)
def test_what_only_the_run_finds_names_its_key(tmp_path, lines, message):
    write_custom(tmp_path)
    done = train(tmp_path, "train_cfg.max_epochs = 3", *lines)
    assert done.returncode in (1, 2) and re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_video_can_be_the_published_model_again(tmp_path):
    write_custom(tmp_path, video="a.mp4")
    lines = [
        'model.encoders.video.update(arch="tiny", img_size=224, num_frames=8,'
        ' tubelet_size=1, stem=None, summary="cls", init_std=0.02)',
        "train_dataloader.dataset.pipeline[1].keep = False",
    ]
    config = completed(tmp_path, "video_mamba", *lines)
    assert config.train_dataloader.dataset.pipeline[1].scale == (224, 224)
    keys = MODELS.build(config.model).encoders["video"].state_dict()
    assert "patch_embed.proj.weight" in keys and len(keys) == 6 + 24 * 17


def test_video_can_have_colours_beside_motion(tmp_path):
    write_custom(tmp_path, video="a.mp4")
    line = 'model.encoders.video.stem.inputs = ["video", "motion"]'
    model = MODELS.build(completed(tmp_path, "video_mamba", line).model)
    assert model.encoders["video"].patch_embed.convs[0].in_channels == 4
