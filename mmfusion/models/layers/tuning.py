"""Parts of a pretrained model that are trained: last blocks, or low-rank adapters."""

import math
from collections.abc import Sequence
from typing import Protocol

from torch import nn

from mmfusion.registry import MODELS
from mmfusion.utils.errors import InputError
from mmfusion.utils.optional import import_optional


class Tuning(Protocol):
    """Choice of what a frozen model trains nevertheless."""

    def apply(self, model: nn.Module, layers: Sequence[str] | None) -> None:
        """Let parameters of ``model`` be trained, or add some; once.

        Args:
            model: all frozen. layers: names of those that are adapted by default.
        """

    def train(self, model: nn.Module, mode: bool) -> None:
        """Set what is trained, and no more, into training mode."""


@MODELS.register_module()
class LastBlocks:
    """Train the last blocks of a model, and the norm that follows them.

    Args:
        num_blocks: of those of all the model's stacks, one after the other.
    """

    def __init__(self, num_blocks: int = 1) -> None:
        if num_blocks < 1:
            raise InputError(f"num_blocks is {num_blocks}, expected 1 or more")
        self.num_blocks = num_blocks

    def apply(self, model: nn.Module, layers: Sequence[str] | None) -> None:
        """Unfreeze what :meth:`parts` gives."""
        for part in self.parts(model):
            part.requires_grad_(True)

    def train(self, model: nn.Module, mode: bool) -> None:
        """Only the trained parts drop out."""
        model.eval()
        for part in self.parts(model):
            part.train(mode)

    def parts(self, model: nn.Module) -> list[nn.Module]:
        """The last blocks, and the modules that are registered after them.

        Raises:
            ValueError: the model has fewer blocks.
        """
        blocks = [
            (f"{name}.{number}", block)
            for name, stack in model.named_modules()
            if isinstance(stack, nn.ModuleList) and not _is_inside(name, model)
            for number, block in enumerate(stack)
        ]
        if len(blocks) < self.num_blocks:
            raise InputError(
                f"num_blocks is {self.num_blocks}, but {type(model).__name__} has"
                f" {len(blocks)}"
            )
        names = [name for name, _ in model.named_modules()]
        last = names.index(blocks[-1][0])
        behind = [
            model.get_submodule(name)
            for name in names[last:]
            if not name.startswith(blocks[-1][0])
        ]
        return [block for _, block in blocks[-self.num_blocks :]] + behind


def _is_inside(name: str, model: nn.Module) -> bool:
    """True of a stack of blocks that is part of another one's block."""
    parents = name.split(".")[:-1]
    return any(
        isinstance(model.get_submodule(".".join(parents[:count])), nn.ModuleList)
        for count in range(1, len(parents) + 1)
    )


@MODELS.register_module()
class LoRA:
    """Low-rank adapters (Hu et al., arXiv 2106.09685), by the package peft.

    A linear layer W becomes W + alpha / rank B A with A (rank, d_in) random and
    B (d_out, rank) zero at the start; only A and B are trained.

    Args:
        rank: r. alpha: its factor. dropout: of the adapters' input.
        layers: names, or their ends, of linear layers such as ``["query", "value"]``;
            None takes those of the attention that the encoder or peft names.

    Raises:
        ValueError: a wrong value, or a name that no layer of the model has.
    """

    def __init__(
        self,
        rank: int = 8,
        *,
        alpha: float = 16.0,
        dropout: float = 0.0,
        layers: Sequence[str] | None = None,
    ) -> None:
        if type(rank) is not int or rank < 1 or not 0 < alpha < math.inf:
            raise InputError(
                f"rank is {rank} and alpha {alpha} of LoRA, expected an integer of 1 or"
                " more and a number above 0"
            )
        if layers is not None and (
            isinstance(layers, str) or not all(isinstance(one, str) for one in layers)
        ):
            raise InputError(f"layers is {layers!r} of LoRA, expected a list of names")
        self.rank, self.alpha, self.dropout = rank, alpha, dropout
        self.layers = None if layers is None else list(layers)

    def apply(self, model: nn.Module, layers: Sequence[str] | None) -> None:
        """Put the adapters into the model, beside its layers."""
        peft = import_optional("peft", "adapters by LoRA")
        names = self.layers if self.layers is not None else layers
        config = peft.LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=None if names is None else list(names),
        )
        try:
            peft.inject_adapter_in_model(config, model)
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"layers is {names} of LoRA: {reason:.300}") from None
        tuner = import_optional("peft.tuners.tuners_utils", "adapters by LoRA")
        adapted = [
            f".{name}"
            for name, module in model.named_modules()
            if isinstance(module, tuner.BaseTunerLayer)
        ]
        lost = [one for one in names or () if not _ends_one(one, adapted)]
        if lost:  # peft says so only where none is found
            raise InputError(
                f"layers is {names} of LoRA, but {type(model).__name__} has no layer"
                f" {lost}"
            )

    def train(self, model: nn.Module, mode: bool) -> None:
        """The whole model, as its dropout acts on what the adapters learn."""
        model.train(mode)


def _ends_one(name: str, layers: Sequence[str]) -> bool:
    return any(layer.endswith(f".{name}") for layer in layers)


def merge_adapters(model: nn.Module) -> None:
    """Add the adapters to the weights of their layers, and take them out."""
    layers = import_optional("peft.tuners.tuners_utils", "adapters by LoRA")
    for name, module in [*model.named_modules()]:
        if isinstance(module, layers.BaseTunerLayer):
            module.merge(safe_merge=True)
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module.get_base_layer())
