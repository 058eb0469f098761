"""The Triton kernels compile, which their interpreter does not show."""

import dataclasses
import importlib.util

import pytest

KERNELS = {
    "conv_backward", "conv_forward", "gate_gradient", "join_segments",
    "merge_directions", "scan_backward", "scan_forward", "segment_carries",
    "segment_ends",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="triton is not installed (pip install triton==3.8.0)",
)
def test_every_kernel_compiles_and_is_in_the_table(monkeypatch) -> None:
    import gpu_kernels

    from mmfusion.ops.triton import plan

    small = dataclasses.replace(  # less is unrolled
        plan.TUNING, block=1, ahead=1, forward_ahead=1, conv_tokens=4, conv_channels=32
    )
    monkeypatch.setattr(plan, "TUNING", small)
    kernels = gpu_kernels.compile_layer(90, gpu_kernels.Layer(states=4))
    assert {one.kernel for one in kernels} == KERNELS
    assert all(0 < one.registers <= 255 for one in kernels)
    assert ".target sm_90" in kernels[0].ptx
    table = gpu_kernels.table_of(kernels)
    assert table.startswith("| kernel | warps | sm_90 |")
    assert len(table.splitlines()) == 2 + len(KERNELS)
