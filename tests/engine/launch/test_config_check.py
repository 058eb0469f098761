"""A wrong config is refused with the key, what came and what was expected."""

import gc
import warnings

import pytest

from mmfusion.engine import FusionRunner
from mmfusion.engine.launch.config_check import load_config
from mmfusion.utils.errors import ConfigError
from tests.engine.toy_runs import CONFIG, toy_config


@pytest.fixture(autouse=True)
def _files_that_mmengine_leaves_open():
    """A config that it cannot parse stays open; it is closed here, without a word."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def write(folder, text):
    path = folder / "config.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train_dataloder = dict()", "'train_dataloder'; nearest: train_dataloader"),
        ("modle = dict(type='ToyModel')", "'modle'; nearest: model"),
        ("_base_ = 'mmaction::a.py'", "names a config of another package"),
        ("model = dict(", "cannot be read: SyntaxError"),
        ("_base_ = './absent.py'", "absent.py"),
    ],
    ids=["dataloader", "model", "package", "syntax", "base"],
)
def test_wrong_files(text, said, tmp_path):
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, text))
    assert said in str(error.value) and "config.py" in str(error.value)


def test_package_base_of_a_base_is_refused_before_anything_is_installed(
    tmp_path, monkeypatch
):
    def no_process(*args, **kwargs):
        raise AssertionError("a process was started")

    monkeypatch.setattr("subprocess.Popen.__init__", no_process)
    monkeypatch.setattr("os.system", no_process)
    (tmp_path / "base.py").write_text("_base_ = ['nosuchpackage::x.py']")
    with pytest.raises(ConfigError, match="nosuchpackage::x.py"):
        load_config(write(tmp_path, "_base_ = './base.py'"))
    with pytest.raises(ConfigError, match="another package"):
        load_config("nosuchpackage::x.py")
    with pytest.raises(ConfigError, match=r"no\.py does not exist"):
        load_config(tmp_path / "no.py")


def test_variables_that_are_read_are_allowed(tmp_path):
    text = "_size = 3\nmine = _size\nlog_level = mine\ntrain_dataloader = None"
    assert load_config(write(tmp_path, text)).log_level == 3


@pytest.mark.parametrize("key", ["max_epochs", "train_pipeline", "nonsense.key"])
def test_options_without_effect_are_refused(key):
    with pytest.raises(ConfigError, match=f"--cfg-options {key}") as error:
        load_config(CONFIG, {key: 3})
    assert key != "max_epochs" or "nearest: train_cfg.max_epochs" in str(error.value)


@pytest.mark.parametrize(
    "key", ["env_cfg.num_thread", "randomness.sede", "auto_scale_lr.base"]
)
def test_unknown_keys_of_plain_dicts_are_refused(key):
    with pytest.raises(ConfigError, match=f"{key}: unknown, expected some of"):
        load_config(CONFIG, {key: 3})


def test_options_reach_lists_and_dicts():
    config = load_config(
        CONFIG, {"param_scheduler.0.end": 9, "train_cfg.max_epochs": 2}
    )
    assert config.param_scheduler[0].end == 9 and config.train_cfg.max_epochs == 2


@pytest.mark.parametrize("part", ["train_dataloader", "val_dataloader"])
def test_num_classes_must_fit_the_annotation(part, tmp_path):
    config = toy_config(tmp_path, {f"{part}.dataset.num_classes": 5})
    with pytest.raises(ConfigError) as error:
        FusionRunner.from_cfg(config).train()
    assert "model.heads.action.num_classes is 3" in str(error.value)
    assert "has 5 classes of 'action'; set" in str(error.value)
