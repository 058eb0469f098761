"""A model as a graph: tensors in, probabilities out, no code of ours in it.

Our own scan cannot travel: a ``.pt2`` has
:func:`mmfusion.ops.torch_scan.scan_by_prefix`, made of PyTorch's operators, in its
place, and ONNX its operator ``Scan`` (:mod:`mmfusion.apis.onnx_scan`).

Shapes: b clips of one view, t frames, k classes of a task.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from mmfusion.models.protocols import HasEncoders, HasInputShape, ReadsExtraStreams
from mmfusion.ops.torch_scan import scan_by_prefix
from mmfusion.structures import MASK_SUFFIX
from mmfusion.utils.errors import ExportError
from mmfusion.utils.optional import import_optional

_OPSET = 18  # of ONNX: torch's exporter writes it best
_SCAN = torch.ops.mmfusion.chunked_scan.default  # our one operator in a program


class ScoreGraph(nn.Module):
    """Probabilities of a recognizer from its inputs in a row.

    Args:
        model: the recognizer. names: of its inputs, such as ``skeleton_mask``.
    """

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Inputs (b, ...) in the names' order -> (b, k) a task, in the heads' order."""
        given = dict(zip(self.names, inputs, strict=True))
        logits = self.model({name: x.unsqueeze(1) for name, x in given.items()})
        return tuple(x.float().softmax(-1) for x in logits.values())


def random_inputs(model: nn.Module, count: int, seed: int = 0) -> dict[str, Tensor]:
    """Normalised inputs of ``count`` clips that mean nothing, (b, ...) by name.

    Joints have a mask, of which a fifth is unseen; a video has none.

    Raises:
        ExportError: an encoder does not say the size of its input.
    """
    if not isinstance(model, HasEncoders):
        raise ExportError(f"a {type(model).__name__} has no encoders by stream")
    generator = torch.Generator().manual_seed(seed)
    inputs = {}
    for name, encoder in model.encoders.items():
        if not isinstance(encoder, HasInputShape):
            raise ExportError(
                f"the encoder of {name!r}, a {type(encoder).__name__}, does not say the"
                " size of all its inputs; export it where its test clips are, so that"
                " real ones can be taken"
            )
        shape = (count, *encoder.input_shape)
        inputs[name] = torch.randn(shape, generator=generator)
        if name == "skeleton":
            seen = torch.rand(shape[:-1], generator=generator) > 0.2
            inputs[name + MASK_SUFFIX] = seen
    return inputs


def check_streams(model: nn.Module) -> None:
    """Refuse a model whose encoder reads other streams beside its own.

    Raises:
        ExportError: so; it looks at their values, which no graph can.
    """
    for name, encoder in getattr(model, "encoders", {}).items():
        if isinstance(encoder, ReadsExtraStreams) and encoder.extra_streams:
            raise ExportError(
                f"the encoder of {name!r}, a {type(encoder).__name__}, reads"
                f" {[*encoder.extra_streams]} too, which a graph does not take; export"
                " it with --format model"
            )


def export_program(
    model: nn.Module, inputs: Mapping[str, Tensor]
) -> tuple[ExportedProgram, dict[str, list[int | None]]]:
    """Trace a model.

    Args:
        model: the recognizer. inputs: of two clips or more, (b, ...) by name.

    Returns:
        The program, and by input its shape, None for each side that is free.

    Raises:
        ExportError: the model has a part that cannot be traced.
    """
    graph = ScoreGraph(model, tuple(inputs)).eval()
    shapes = tuple(
        {axis: Dim.AUTO for axis in range(1 if _is_fixed(model, name) else x.dim())}
        for name, x in inputs.items()
    )
    try:
        with torch.no_grad(), quiet():
            program = torch.export.export(
                graph, tuple(inputs.values()), dynamic_shapes=(shapes,)
            )
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ExportError(
            f"the model cannot be traced: {type(error).__name__}: {reason}"
        ) from error
    return program, dict(zip(inputs, _sizes(program), strict=True))


def _is_fixed(model: Any, name: str) -> bool:
    """True for an input of an encoder with tables of positions, all of one size."""
    encoder = model.encoders[name.removesuffix(MASK_SUFFIX)]
    return isinstance(encoder, HasInputShape)


def _sizes(program: ExportedProgram) -> list[list[int | None]]:
    """The shape of each input of a program, None for a free side."""
    wanted = set(program.graph_signature.user_inputs)
    return [
        [side if isinstance(side, int) else None for side in node.meta["val"].shape]
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in wanted
    ]


def save_pt2(program: ExportedProgram, path: Path) -> None:
    """Write a program as torch does; ``torch.export.load`` reads it."""
    with quiet():
        alone = program.run_decompositions({_SCAN: _scan_alone})
        torch.export.save(alone, path)


def _scan_alone(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    """``_SCAN`` made of PyTorch's operators."""
    *arrays, _ = inputs
    y, last = scan_by_prefix(*arrays)
    return y, last, last.new_empty(0, *last.mT.shape)


def save_onnx(
    program: ExportedProgram, path: Path, names: list[str], tasks: list[str]
) -> None:
    """Write a program as ONNX, weights inside.

    Args:
        names: of the inputs. tasks: names of the outputs.

    Raises:
        MissingPackageError: onnx or onnxscript is not installed.
        ExportError: a part has no form in ONNX.
    """
    for package in ("onnx", "onnxscript"):
        import_optional(package, "exports to ONNX")
    from mmfusion.apis.onnx_scan import scan  # needs them

    try:
        with quiet():
            written = torch.onnx.export(
                program,
                input_names=names,
                output_names=tasks,
                opset_version=_OPSET,
                custom_translation_table={_SCAN: scan},
                dynamo=True,
                verbose=False,
            )
            assert written is not None
            written.save(str(path), external_data=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ExportError(
            f"ONNX has no form of the model: {type(error).__name__}: {reason}"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing of what torch's exporters say about themselves and their parts."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for kind in (DeprecationWarning, FutureWarning, UserWarning):
                warnings.simplefilter("ignore", kind)
            yield
    finally:
        logger.setLevel(level)
