"""Models without content, of which only shapes are asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _RatesOnCPU(TorchFunctionMode):
    """Let ``torch.linspace`` have content.

    MMAction2's transformers read their drop path rates from it by ``item()``.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs.setdefault("device", "cpu")
        return func(*args, **kwargs)


@contextmanager
def without_content() -> Iterator[None]:
    """Context in which a model is built on PyTorch's meta device."""
    with torch.device("meta"), _RatesOnCPU():
        yield
