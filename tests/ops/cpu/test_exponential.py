"""exp(delta A) of the kernels over all of float32, through one step of a scan."""

import numpy as np
import pytest
import torch

from mmfusion.ops import ScanInputs, selective_scan_with_state
from mmfusion.ops.cpu import library
from mmfusion.ops.cpu.build import BuildError

pytestmark = pytest.mark.skipif(
    library.missing_reason() is not None, reason="no kernels here"
)


def exponentials(x, start):
    """start exp(x) for each of x (d,): the state behind one token without input."""
    d = x.numel()
    ones, zeros = torch.ones(1, 1, d), torch.zeros(1, 1, d)
    row = torch.zeros(1, 1, 1)
    inputs = ScanInputs(zeros, ones, x.view(d, 1), row, row, None, None)
    state = torch.full((1, d, 1), start)
    _, last = selective_scan_with_state(inputs, state, backend="cpu")
    return last.flatten()


@pytest.mark.parametrize("isa", ["avx512", "avx2", "sse2"])
def test_relative_error_over_all_exponents(isa):
    x = torch.linspace(-86, 88.7, 200_003)  # 88.7: 2^127.97, the last before infinity
    try:
        with library.forced_instruction_set(isa):
            found = exponentials(x, 1.0)
            beyond = exponentials(torch.tensor([0.0, 89.0, -104.0, float("nan")]), 1.0)
    except BuildError as error:
        pytest.skip(str(error))
    product = x * np.float32(1.44269504)  # what is made a power of 2, itself rounded
    expected = np.exp2(product.double().numpy())
    error = np.abs(found.double().numpy() / expected - 1)
    assert error.max() < 2e-7
    assert beyond[0] == 1 and beyond[1] == float("inf") and beyond[2] == 0
    assert beyond[3].isnan()
