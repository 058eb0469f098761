"""The strictness of the tools in a fresh interpreter, outside the repository."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from mmfusion.models import VideoMamba
from mmfusion.utils.errors import CheckpointError

ROOT = Path(__file__).parents[1]
NANO = dict(arch="nano", img_size=32, patch_size=16, num_frames=2)
CHILD = """
from mmengine.config import read_base

with read_base():
    from mmfusion.configs.unimodal.video_mamba_tiny_h2o import *

model.heads.action.num_classes = 5
"""
READ = """
import mmfusion
from mmengine.config import Config

config = Config.fromfile("child.py")
print(mmfusion.__file__)
print(config.model.heads.action.num_classes, config.model.type)
"""
# what pip installs of an editable package: a finder of its folder
EDITABLE = f"""
import sys
from importlib.util import spec_from_file_location

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "mmfusion":
            return spec_from_file_location(name, "{ROOT}/mmfusion/__init__.py")

sys.meta_path.insert(0, Finder)
"""


def python(code: str, folder: Path, path: Path | None) -> str:
    """Output of a program that runs in ``folder`` with ``path`` importable."""
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(folder)}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, "-c", textwrap.dedent(code)]
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what a wheel installs, but the compiled kernels."""
    folder = tmp_path_factory.mktemp("wheel")
    arguments = ["-q", "egg_info", "-e", str(folder), "build_py", "-d", str(folder)]
    code = f"import setuptools; setuptools.setup(script_args={arguments})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return folder


def test_a_config_elsewhere_begins_with_one_of_ours(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    place, found = python(READ, tmp_path, ROOT).splitlines()
    assert Path(place).is_relative_to(ROOT)
    assert found.startswith("5 ") and "MultiModalRecognizer" in found


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_an_installed_package_brings_its_configs(
    kind: str, built: Path, tmp_path: Path
) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    if kind == "wheel":
        place, found = python(READ, tmp_path, built).splitlines()
    else:
        place, found = python(EDITABLE + READ, tmp_path, None).splitlines()
    assert Path(place).is_relative_to(built if kind == "wheel" else ROOT)
    assert found.startswith("5 ")
    inside = sorted(p.relative_to(ROOT) for p in (ROOT / "configs").rglob("*.py"))
    assert inside == sorted(
        p.relative_to(built / "mmfusion")
        for p in (built / "mmfusion" / "configs").rglob("*.py")
    )


@pytest.mark.slow
def test_weights_load_and_are_refused_as_in_the_tools(tmp_path: Path) -> None:
    torch.save(VideoMamba(**NANO).state_dict(), tmp_path / "good.pth")
    torch.save({"strange": torch.zeros(1)}, tmp_path / "bad.pth")
    code = f"""
    import mmfusion
    from mmengine.registry import MODELS

    config = dict(type="VideoMamba", **{NANO})
    for name in ("good", "bad"):
        config["init_cfg"] = dict(type="Pretrained", checkpoint=name + ".pth")
        try:
            MODELS.build(config).init_weights()
        except Exception as error:
            print(type(error).__module__, type(error).__name__)
            print(error)
    """
    log, _, told = python(code, tmp_path, ROOT).partition("mmfusion.utils.errors ")
    assert "VideoMamba from good.pth (prefix ''):" in log and "tensors loaded" in log
    model = VideoMamba(**NANO, init_cfg=dict(type="Pretrained", checkpoint="bad.pth"))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(CheckpointError) as error:
        patch.chdir(tmp_path)
        model.init_weights()
    assert told.strip() == f"CheckpointError\n{error.value}"


@pytest.mark.slow
def test_a_start_from_weights_is_reported_in_few_lines(tmp_path: Path) -> None:
    torch.save({"model": VideoMamba(**NANO).state_dict()}, tmp_path / "own.pth")
    code = f"""
    from mmfusion.models import VideoMamba

    init = dict(type="Pretrained", checkpoint="own.pth")
    VideoMamba(**{NANO!r}, init_cfg=init).init_weights()
    """
    said = python(textwrap.dedent(code), tmp_path, ROOT)
    assert "tensors loaded" in said
    assert len(said.splitlines()) < 10


def test_types_are_found_without_a_scope(tmp_path: Path) -> None:
    code = """
    import mmfusion
    from mmengine import registry
    from mmengine.dataset import Compose

    Compose([dict(type="DecodeVideo"), dict(type="PackInputs")])
    registry.METRICS.build(dict(type="AccuracyMetric", tasks=["action"]))
    registry.HOOKS.build(dict(type="EarlyStopHook", monitor="a", patience=1))
    registry.MODELS.build(dict(type="ClassificationHead", num_classes=2, in_dims=8))
    registry.MODELS.build(dict(type="CrossEntropyLoss"))
    """
    python(code, tmp_path, ROOT)


@pytest.mark.slow
def test_a_run_begins_and_is_refused_as_in_the_tools(tmp_path: Path) -> None:
    code = """
    import mmfusion
    from mmengine.config import Config
    from mmengine.registry import RUNNERS

    config = Config.fromfile("{config}")
    config.pop("default_scope"), config.pop("runner_type")
    config.work_dir = "run"
    config.train_cfg.max_epochs = 1
    RUNNERS.build(config).train()
    config.train_dataloder = dict(batch_size=2)
    try:
        RUNNERS.build(config)
    except Exception as error:
        print(type(error).__name__, error)
    """
    config = ROOT / "tests" / "engine" / "toy_config.py"
    told = python(code.replace("{config}", str(config)), tmp_path, ROOT)
    assert "ConfigError" in told and "unknown key 'train_dataloder'" in told
    assert (tmp_path / "run" / "finished.json").is_file()
