"""Batches on their way out of a worker."""

import torch

from mmfusion.engine.runner.dataloader import _reduce


def test_small_tensors_travel_within_their_batch():
    strided = torch.arange(12.0).bfloat16().reshape(3, 4)[:, ::2]
    for value in (torch.tensor(3), torch.tensor(True), strided, torch.zeros(0, 2)):
        make, arguments = _reduce(value)
        back = make(*arguments)
        assert back.dtype == value.dtype and torch.equal(back, value)
    for value in (torch.zeros(5000), torch.zeros(2, requires_grad=True)):
        assert _reduce(value)[0] is not make  # torch's own: shared, or with its flag
