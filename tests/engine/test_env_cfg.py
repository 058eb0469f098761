"""Settings of ``env_cfg`` beyond MMEngine's."""

from types import SimpleNamespace

import pytest
import torch

from mmfusion.engine import FusionRunner
from mmfusion.engine.runner import environment, fusion_runner


@pytest.fixture
def set_up(monkeypatch):
    monkeypatch.setattr(fusion_runner.Runner, "setup_env", lambda self, env_cfg: None)
    runner = FusionRunner.__new__(FusionRunner)
    runner._timestamp = "now"
    runner._distributed, runner.cfg = False, {}
    torch.set_flush_denormal(False)  # whatever another test's runner has set
    yield runner.setup_env
    torch.set_flush_denormal(False)


def test_denormals_become_zero_where_asked_for(set_up):
    small = torch.tensor([1e-30, 1e-40])
    set_up({})
    assert (small * 1e-9).count_nonzero() == 1
    set_up({"flush_denormals": True})
    if not torch.set_flush_denormal(True):
        pytest.skip("this CPU cannot")
    assert (small * 1e-9).count_nonzero() == 0


def test_what_has_no_effect_is_said(set_up, monkeypatch, log_lines):
    monkeypatch.setattr(environment, "tune_cpu_allocator", lambda: False)
    set_up({"tune_cpu_allocator": True})
    assert any("tune_cpu_allocator" in line for line in log_lines)


def test_the_allocator_is_tuned_where_asked_for(set_up, monkeypatch):
    calls = SimpleNamespace(count=0)

    def tune() -> bool:
        calls.count += 1
        return True

    monkeypatch.setattr(environment, "tune_cpu_allocator", tune)
    set_up({})
    assert calls.count == 0
    set_up({"tune_cpu_allocator": True})
    assert calls.count == 1


@pytest.mark.parametrize("with_cp", [False, True])
def test_a_model_that_recomputes_gets_memory_given_back(
    monkeypatch, log_lines, with_cp
):
    tuned = []
    monkeypatch.setattr(environment, "tune_cpu_allocator", lambda: not tuned.append(1))
    encoders = dict(video=dict(type="VideoMamba", with_cp=with_cp))
    model = dict(type="MultiModalRecognizer", encoders=encoders, neck=[dict(a=1)])
    environment.set_up_cpu(dict(tune_cpu_allocator=True), model)
    assert bool(tuned) is not with_cp
    assert any("with_cp" in line for line in log_lines) is with_cp
