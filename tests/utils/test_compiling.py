import torch
from torch._inductor import config

from mmfusion.utils.compiling import compile_module


def test_a_compiled_module_without_the_tiling_analysis(monkeypatch):
    monkeypatch.setattr(config.triton, "coalesce_tiling_analysis", True, raising=False)
    module, x = torch.nn.Linear(3, 2), torch.randn(4, 3)
    expected = module(x)
    compile_module(module, backend="eager")
    assert config.triton.coalesce_tiling_analysis is False
    assert torch.equal(module(x), expected)
    assert set(module.state_dict()) == {"weight", "bias"}
