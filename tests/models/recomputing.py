"""Proof that ``with_cp`` changes neither loss nor gradients and keeps less memory."""

import torch
from torch.autograd.graph import saved_tensors_hooks


def assert_recomputes(model, x):
    """Drop path included: a recomputed block must draw the same samples."""
    losses, grads, kept = zip(
        *(_step(model, x, cp) for cp in (False, True)), strict=True
    )
    assert torch.equal(*losses)
    assert all(torch.equal(one, other) for one, other in zip(*grads, strict=True))
    assert kept[1] < kept[0] / 3


def _step(model, x, with_cp):
    """Loss, gradients and the bytes that autograd keeps between the two passes."""
    model.with_cp, kept = with_cp, {}

    def keep(tensor):
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    model.zero_grad()
    torch.manual_seed(0)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model.train()(x).cls.square().sum()
    loss.backward()
    return loss, [p.grad.clone() for p in model.parameters()], sum(kept.values())
