"""Weights & Biases, with a stand-in for its package: nothing is started or sent."""

import sys
import types

import pytest
from mmengine.config import Config

from mmfusion.engine.launch.loggers import (
    drop_wandb,
    log_for_tensorboard,
    log_for_wandb,
)
from mmfusion.utils.errors import ConfigError, MissingPackageError, WorkDirError
from mmfusion.visualization import WandbBackend


class Package(types.ModuleType):
    """Stand-in for wandb; ``log_code`` is not there."""

    class Error(Exception):
        pass

    def __init__(self):
        super().__init__("wandb")
        self.begun, self.logged, self.sent, self.fails = [], [], {}, False
        self.config = types.SimpleNamespace(update=self.update)
        self.log = lambda values, commit: self.logged.append(values)

    def init(self, **options):
        if self.fails:
            raise self.Error("no API key")
        self.begun.append(options)

    def update(self, values, allow_val_change):
        assert allow_val_change
        self.sent.update(values)


@pytest.fixture
def package(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", Package())
    return sys.modules["wandb"]


def backend(work_dir, time="1"):
    return WandbBackend(str(work_dir / time / "vis_data"), project="mine")


def test_a_continued_run_goes_on_and_no_code_is_sent(tmp_path, package):
    for time in ("1", "2"):
        made = backend(tmp_path, time)
        made.add_config(Config({"a": 1}))
        made.add_scalars({"loss": 2.0}, step=3)
    first, second = package.begun
    assert (
        first["id"] == second["id"] == (tmp_path / "wandb_id.txt").read_text().strip()
    )
    assert (first["project"], first["name"]) == ("mine", tmp_path.name)
    assert first["resume"] == "allow"
    assert second["dir"] == str(tmp_path / "2" / "vis_data")
    assert package.sent == {"a": 1}
    assert package.logged == [{"loss": 2.0}] * 2


def test_what_keeps_it_from_beginning_is_named(tmp_path, package):
    package.fails = True
    with pytest.raises(ConfigError, match="no API key; 'wandb login' once, or set WAN"):
        backend(tmp_path).add_config(Config({}))
    (tmp_path / "wandb_id.txt").write_text("a b\nc\n")
    with pytest.raises(WorkDirError, match="expected the id of a W&B run"):
        backend(tmp_path).add_config(Config({}))


def test_both_loggers_stand_beside_the_own_one_and_a_test_has_no_wandb(package):
    for config in (Config({}), Config({"visualizer": None})):
        log_for_tensorboard(config)
        log_for_wandb(config, "mine")
        log_for_wandb(config, "yours")
        names = [one.type.rpartition(".")[2] for one in config.visualizer.vis_backends]
        assert names == ["LocalVisBackend", "TensorboardVisBackend", "WandbBackend"]
        assert config.visualizer.vis_backends[2].project == "yours"
        drop_wandb(config)
        assert len(config.visualizer.vis_backends) == 2
    drop_wandb(Config({}))


def test_a_missing_package_and_a_wrong_name_are_one_line(monkeypatch, package):
    with pytest.raises(ConfigError, match="--wandb 'a/b': expected a name of 1 to 128"):
        log_for_wandb(Config({}), "a/b")
    for module, add in (
        ("wandb", lambda: log_for_wandb(Config({}), "mine")),
        ("tensorboard", lambda: log_for_tensorboard(Config({}))),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingPackageError, match=f"need the package {module}"):
            add()
