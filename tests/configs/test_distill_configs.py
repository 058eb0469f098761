"""configs/distill: each has its teacher, and trains, goes on and is used without it."""

import pytest
import torch
from mmengine.config import Config

from mmfusion.analysis.experiments import plan
from mmfusion.apis import load_model
from mmfusion.apis.model_folder import write_model_folder
from mmfusion.engine.launch.argument_check import class_name
from mmfusion.engine.launch.completion import complete_config
from mmfusion.engine.launch.config_check import load_config
from mmfusion.registry import MODELS
from mmfusion.utils.errors import ConfigError
from tests.configs.custom_files import BODY15, write_custom
from tests.configs.loaded import ROOT, load
from tests.configs.test_configs import CONFIGS
from tests.configs.test_custom_configs import QUICK, derive
from tests.tools.command import run_tool

NEED_DATA = "distill/distill_logits_nano_egogestar"  # sizes are taken from the data
STUDENTS = [
    name
    for name in CONFIGS
    if name.startswith("distill/")
    and "mamba_nano" not in name
    and "cls_mix" not in name
]
LOGITS = "distill/distill_logits_nano_tinyego_96.py"


@pytest.mark.parametrize("name", [x for x in STUDENTS if not x.startswith(NEED_DATA)])
def test_a_student_has_a_teacher_of_another_config(name):
    *_, student = plan([ROOT / name])
    assert "model.auxiliary.distill.teacher.init_cfg.checkpoint" in student.stage1
    config = load(name)
    complete_config(config)
    with torch.device("meta"):
        model = MODELS.build(config.model)
    taught = model.auxiliary["distill"].teacher
    packed = config.train_dataloader.dataset.pipeline
    names = [class_name(step["type"]) for step in packed]
    streams = packed[names.index("PackInputs")]["streams"]
    assert set(streams) >= set(taught.encoders) | set(model.encoders)
    tested = config.test_dataloader.dataset.pipeline[-1]["streams"]
    assert set(tested) == set(model.encoders)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"train_dataloader.dataset.pipeline.8.streams": ["video"]},
            "pipeline.8.streams: ['video'] lacks 'skeleton', which the teacher in",
        ),
        (
            {"model.auxiliary.distill.teacher.neck.streams": ["video", "text"]},
            "model.auxiliary.distill.teacher.neck.streams: no encoder named 'text'",
        ),
        (
            {"model.auxiliary.distill.teacher.data_preprocessor.mean": [1, 2, 3]},
            "teacher.data_preprocessor.mean: got [1, 2, 3], but the video comes as",
        ),
        (
            {"model.auxiliary.distill.losses.logits.temprature": 2},
            "losses.logits.temprature: LogitsDistillation has no argument",
        ),
        (
            {"model.auxiliary.distill.teacher.heads.action.num_classes": 0},
            "teacher.heads.action.num_classes: got 0, expected no number below 1",
        ),
    ],
)
def test_a_teacher_is_checked_as_a_model(options, said):
    base = {"model.auxiliary.distill.teacher.data_preprocessor": None}
    if "mean" in next(iter(options)):
        base = {f"{k}.type": "MultiModalPreprocessor" for k in base}
    with pytest.raises(ConfigError) as error:
        load_config(ROOT / LOGITS, {**base, **options})
    assert said in str(error.value)


STUDENT = """
hands = dict(model.encoders.skeleton, num_frames=8)
teacher = dict(type="MultiModalRecognizer", encoders=dict(skeleton=hands))
teacher.update(heads=dict(model.heads))
teacher.update(init_cfg=dict(type="Pretrained", checkpoint="{root}/out/best.pth"))
model.unlabelled = True
model.auxiliary = dict(
    distill=dict(
        type="Distillation",
        teacher=teacher,
        losses=dict(
            logits=dict(type="LogitsDistillation"),
            features=dict(type="FeatureDistillation", in_dims=64, out_dims=64),
        ),
    )
)
train_dataloader.dataset.labelled = 6
train_cfg.max_epochs = 2
"""


def run(folder, config, out):
    options = [*QUICK, "train_cfg.val_interval=1"]
    return run_tool("train", config, "--work-dir", out, "--cfg-options", *options)


def test_a_student_goes_on_bitwise_and_needs_no_teacher_when_it_is_used(tmp_path):
    write_custom(tmp_path, BODY15)
    teacher = derive(tmp_path, "skeleton_mamba", "train_cfg.max_epochs = 1")
    assert run(tmp_path, teacher, tmp_path / "out").returncode == 0
    path = derive(tmp_path, "skeleton_mamba", STUDENT.format(root=tmp_path))
    done = run(tmp_path, path, tmp_path / "student")
    assert done.returncode == 0, done.stderr
    whole = torch.load(tmp_path / "student/epoch_2.pth", weights_only=True)
    assert not [key for key in whole["state_dict"] if "teacher" in key]
    (tmp_path / "again").mkdir()
    (tmp_path / "student/epoch_1.pth").rename(tmp_path / "again/epoch_1.pth")
    assert run(tmp_path, path, tmp_path / "again").returncode == 0
    again = torch.load(tmp_path / "again/epoch_2.pth", weights_only=True)["state_dict"]
    assert all(torch.equal(again[k], v) for k, v in whole["state_dict"].items())
    (tmp_path / "out/best.pth").unlink()  # the teacher is gone
    best = tmp_path / "student/best.pth"
    out = ["--work-dir", tmp_path / "tested", "--cfg-options", *QUICK[:-2], QUICK[-1]]
    done = run_tool("test", path, best, *out)
    assert done.returncode == 0, done.stderr
    loaded = load_model(tmp_path / "student")
    assert "auxiliary" not in loaded.card["model"] and not loaded.model.auxiliary
    write_model_folder(loaded, tmp_path / "model")
    names = load_model(tmp_path / "model").model.state_dict().keys()
    assert not [name for name in names if name.startswith("auxiliary")]
    dumped = Config.fromfile(tmp_path / "student/mine.py").model
    assert dumped.auxiliary.distill.teacher.heads.action.num_classes == 3
