"""An optimizer wrapper that steps on finite gradients only, in fp32 or bf16."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

from mmfusion.registry import OPTIM_WRAPPERS
from mmfusion.utils.errors import InputError, NonFiniteError, check_choice

# float16 would need loss scaling
_DTYPES = {None: None, "float32": None, "bfloat16": torch.bfloat16}


@OPTIM_WRAPPERS.register_module()
class FusionOptimWrapper(OptimWrapper):
    """MMEngine's wrapper, which never puts a NaN into the weights.

    The loss is checked before ``backward`` and the norm of all gradients after it;
    either non-finite raises NonFiniteError with the weights untouched.
    Accumulated gradients are applied at the end of every epoch, so that an epoch never
    ends between two updates (MMEngine lets them cross it); the last, shorter group of
    an epoch is averaged over its own length.

    Args:
        optimizer: the optimizer.
        accumulative_counts: steps whose gradients are averaged into one update.
        clip_grad: MMEngine's, for example ``dict(max_norm=1.0)``.
        dtype: ``'bfloat16'`` runs the forward pass under autocast, on CPU and GPU; it
            needs no loss scaling. None is fp32. In a config also ``'auto'``: bf16 where
            the machine computes it faster, which the runner finds out.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict | None = None,
        dtype: str | None = None,
    ) -> None:
        if accumulative_counts < 1:
            raise InputError(
                f"optim_wrapper.accumulative_counts is {accumulative_counts}, expected"
                " 1 or more"
            )
        super().__init__(optimizer, accumulative_counts, clip_grad)
        if clip_grad is not None:
            known = list(inspect.signature(self.clip_func).parameters)[1:]
            unknown = sorted(set(self.clip_grad_kwargs) - set(known))
            if unknown:
                raise InputError(
                    f"optim_wrapper.clip_grad has unknown keys {unknown}, expected some"
                    f" of {['type', *known]}"
                )
        check_choice("optim_wrapper.dtype", dtype, _DTYPES)
        self.dtype = _DTYPES[dtype]
        self._epoch_length: int | None = None

    def set_epoch_length(self, num_steps: int) -> None:
        """Tell after how many steps gradients are applied in any case."""
        self._epoch_length = num_steps

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The forward pass: autocast, and no synchronizing before it is needed."""
        device = next(model.parameters()).device.type
        with super().optim_context(model):
            if self.dtype is None:
                yield
            else:
                with torch.autocast(device, dtype=self.dtype):
                    yield

    def update_params(
        self,
        loss: Tensor,
        step_kwargs: dict | None = None,
        zero_kwargs: dict | None = None,
    ) -> None:
        """Backward, and a step where one is due.

        Args:
            loss: 0-d.
            step_kwargs: for ``optimizer.step``.
            zero_kwargs: for ``optimizer.zero_grad``.
        """
        if not torch.isfinite(loss):
            raise NonFiniteError(f"the loss is {loss.item()}")
        super().update_params(loss, step_kwargs, zero_kwargs)

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Add the gradients of ``loss`` (0-d), if all are finite with them.

        They are checked after every backward, not only before a step, so that of the
        batches of one update the right one is named.
        """
        super().backward(loss, **kwargs)
        grads = [
            parameter.grad
            for group in self.optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        norm = torch.nn.utils.get_total_norm(grads)
        if not torch.isfinite(norm):
            raise NonFiniteError(f"the norm of the gradients is {norm.item()}")

    def _position(self) -> tuple[int, int]:
        """Steps done in this epoch, and the epoch's length."""
        length = self._epoch_length or self._max_counts
        if length <= 0:
            return self._inner_count, 2**62  # no end is known
        return self._inner_count % length, length

    def should_update(self) -> bool:
        """True if the step just done completes a group."""
        done, _ = self._position()
        return done % self._accumulative_counts == 0

    def should_sync(self) -> bool:
        """True if the step to come completes a group."""
        done, length = self._position()
        return (done + 1) % self._accumulative_counts == 0 or done + 1 == length

    def scale_loss(self, loss: Tensor) -> Tensor:
        """``loss`` (0-d) divided by the length of its group of steps."""
        done, length = self._position()
        last = length % self._accumulative_counts
        in_last = self._max_counts > 0 and done >= length - last
        return loss / (last if in_last else self._accumulative_counts)
