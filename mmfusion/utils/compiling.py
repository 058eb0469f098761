"""Settings that torch.compile needs before it compiles a model of this library."""

from torch import nn


def prepare_compiler() -> None:
    """Switch off an analysis of Inductor that fails on VideoMamba, in this process.

    In PyTorch 2.11 the analysis that picks tiles by how memory is read stops with an
    AssertionError in ``_solve_simple_expr`` where the backward takes apart what was
    padded or flattened. It is a heuristic for speed; without it the older one is used.
    """
    from torch._inductor import config

    if hasattr(config.triton, "coalesce_tiling_analysis"):
        config.triton.coalesce_tiling_analysis = False


def compile_module(module: nn.Module, **options: object) -> None:
    """:meth:`torch.nn.Module.compile`, after :func:`prepare_compiler`."""
    prepare_compiler()
    module.compile(**options)


def parts_of(model: nn.Module) -> list[nn.Module]:
    """The children of a model, those of its lists and dicts instead of these.

    Without the preprocessor and the auxiliary losses, which read data samples.
    """
    parts: list[nn.Module] = []
    for name, child in model.named_children():
        if name in ("auxiliary", "data_preprocessor"):
            continue
        if isinstance(child, nn.ModuleList | nn.ModuleDict):
            parts += child.children()
        else:
            parts.append(child)
    return parts
