"""The faster precision of a machine."""

import pytest
import torch

from mmfusion.utils import faster_dtype as module
from mmfusion.utils.errors import InputError
from mmfusion.utils.faster_dtype import autocast_wanted, faster_dtype


@pytest.mark.parametrize(
    ("seconds", "bfloat16", "said"),
    [(0.5, True, "2 times as fast"), (10.0, False, "slower, by 10 times")],
)
def test_a_cpu_is_timed_once(monkeypatch, seconds, bfloat16, said):
    asked = []

    def time(dtype):
        asked.append(dtype)
        return {torch.float32: 1.0, torch.bfloat16: seconds}[dtype]

    monkeypatch.setattr(module, "_seconds", time)
    faster_dtype.cache_clear()
    found = [autocast_wanted("auto", torch.device("cpu")) for _ in range(2)]
    faster_dtype.cache_clear()
    assert found[0] is found[1] and len(asked) == 2
    assert found[0].bfloat16 is bfloat16 and said in found[0].reason


def test_a_gpu_is_asked_and_what_is_forced_is_not(monkeypatch):
    def supported(including_emulation):
        return including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    faster_dtype.cache_clear()
    assert autocast_wanted("auto", "cuda").name == "float32"
    faster_dtype.cache_clear()
    assert autocast_wanted("force", "cuda").name == "bfloat16"
    assert autocast_wanted("off", "cpu").name == "float32"
    with pytest.raises(InputError, match="amp is 'on', expected one of"):
        autocast_wanted("on", "cpu")


def test_the_probe_takes_no_random_number():
    before = torch.get_rng_state()
    assert module._seconds(torch.bfloat16) > 0
    assert torch.equal(before, torch.get_rng_state())
