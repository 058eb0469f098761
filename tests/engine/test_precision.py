"""The precision of a run that leaves it to the machine."""

import json

import pytest
import torch
from mmengine.config import Config

from mmfusion.engine.runner import precision
from mmfusion.engine.runner.precision import settle_precision
from mmfusion.utils.faster_dtype import FasterDtype
from tests.engine.toy_runs import CONFIG
from tests.tools.command import run_tool

CPU = torch.device("cpu")


@pytest.fixture
def machine(monkeypatch):
    """Choose what this machine is fast at; where it is asked, it says so."""

    def choose(bfloat16):
        monkeypatch.setattr(
            precision, "faster_dtype", lambda kind: FasterDtype(bfloat16, f"of {kind}")
        )

    return choose


def test_a_run_keeps_the_precision_that_it_began_with(machine, tmp_path):
    def train(*flags):
        options = ["train_cfg.max_epochs=1"]
        arguments = [CONFIG, "--work-dir", tmp_path, *flags]
        return run_tool("train", *arguments, "--cfg-options", *options)

    machine(bfloat16=True)
    done = train("--amp")
    assert done.returncode == 0, done.stderr
    meta = torch.load(tmp_path / "best.pth", weights_only=True)["meta"]
    assert json.loads(meta["settings"])["optim_wrapper.dtype"] == "bfloat16"
    machine(bfloat16=False)  # another one
    again = train("--amp")
    assert again.returncode == 0, again.stderr  # it is this run, complete
    other = train()
    assert other.returncode == 2
    assert "optim_wrapper.dtype: was 'bfloat16'" in other.stderr


@pytest.mark.parametrize("first", [True, False])
def test_all_ranks_do_as_the_first_says(machine, monkeypatch, first):
    machine(bfloat16=not first)
    monkeypatch.setattr(precision, "is_main_process", lambda: False)
    monkeypatch.setattr(precision, "gather_json", lambda own: [(first, "so"), own])
    config = Config(dict(optim_wrapper=dict(dtype="auto")))
    found = settle_precision(dict(config.optim_wrapper), config, CPU)
    assert (
        found["dtype"] == config.optim_wrapper.dtype == ("bfloat16" if first else None)
    )
