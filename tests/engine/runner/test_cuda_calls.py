"""Calls that a run makes of CUDA and NCCL, written down where there is neither."""

import subprocess
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmfusion.engine.optimizers.fusion_optim_wrapper import FusionOptimWrapper
from mmfusion.engine.runner import distributed, fusion_runner, run_state
from mmfusion.engine.runner.fusion_runner import FusionRunner

ENV = Config.fromfile("configs/_base_/default_runtime.py").env_cfg
PLACES = {
    "pytorch": dict(RANK="5", LOCAL_RANK="1", WORLD_SIZE="8"),
    "slurm": dict(SLURM_PROCID="5", SLURM_NTASKS="8", SLURM_NODELIST="a[1-2]"),
}


@pytest.fixture
def calls(monkeypatch):
    """Calls that were made of a CUDA with two GPUs: name, arguments, keywords."""
    made = []

    def record(owner, name, gives=None):
        def call(*args, **kwargs):
            made.append((name, args, kwargs))
            return gives

        monkeypatch.setattr(owner, name, call)

    record(torch.cuda, "set_device")
    record(torch.cuda, "set_rng_state")
    record(torch.cuda, "get_rng_state", torch.zeros(16, dtype=torch.uint8))
    record(torch.distributed, "init_process_group")
    record(DistributedDataParallel, "__init__")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(fusion_runner, "is_cuda_available", lambda: True)
    monkeypatch.setattr(subprocess, "getoutput", lambda command: "a1")  # scontrol
    return made


@pytest.mark.parametrize("launcher", PLACES)
def test_a_process_takes_its_gpu_before_it_joins_by_nccl(launcher, calls, monkeypatch):
    for key, value in PLACES[launcher].items():
        monkeypatch.setenv(key, value)
    for key in ("MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(key, "1")  # whatever is written there does not stay
    for key in {"RANK", "LOCAL_RANK", "WORLD_SIZE"} - {*PLACES[launcher]}:
        monkeypatch.setenv(key, "")
    runner = FusionRunner.__new__(FusionRunner)
    runner._launcher, runner._distributed, runner.cfg = launcher, True, Config()
    runner.setup_env({"dist_cfg": ENV.dist_cfg})
    names = [name for name, _, _ in calls]
    assert names == ["set_device", "init_process_group"]
    assert calls[0][1] == (1,)
    assert calls[1][2]["backend"] == "nccl"


def test_ddp_gets_the_gpu_of_the_process(calls, monkeypatch):
    class Model(nn.Module):
        def to(self, device):
            calls.append(("to", device, {}))
            return self

    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr("mmengine.runner.runner.get_device", lambda: "cuda")
    runner = FusionRunner.__new__(FusionRunner)
    runner._distributed, runner.cfg = True, Config()
    runner.wrap_model(None, Model())
    (_, device, _), (_, _, given) = calls
    assert device == "cuda" and given["device_ids"] == [1]
    assert given[distributed.sync_buffers_argument()] is False


def test_the_gpus_random_state_goes_into_a_checkpoint_and_back(calls, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    state = run_state.get_rng_state()
    assert torch.equal(state["cuda"], torch.zeros(16, dtype=torch.uint8))
    run_state.set_rng_state(state)
    (restored,) = [args for name, args, _ in calls if name == "set_rng_state"]
    assert restored[0] is state["cuda"]


def test_autocast_is_of_the_models_device(monkeypatch):
    made = []

    class Autocast:
        def __init__(self, device, dtype):
            made.append((device, dtype))

        def __enter__(self):
            """Nothing runs under it."""

        def __exit__(self, *error):
            """As above."""

    monkeypatch.setattr(torch, "autocast", Autocast)
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.1)
    weight = SimpleNamespace(device=torch.device("cuda", 1))
    model = SimpleNamespace(parameters=lambda: iter([weight]))
    with FusionOptimWrapper(optimizer, dtype="bfloat16").optim_context(model):
        assert made == [("cuda", torch.bfloat16)]
