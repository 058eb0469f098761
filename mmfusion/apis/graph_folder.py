"""A model as a graph in a folder, with a script that runs it without mmfusion."""

import copy
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmfusion.apis.folder import check_new, new_folder, write_json
from mmfusion.apis.graph import (
    ScoreGraph,
    check_streams,
    export_program,
    quiet,
    random_inputs,
    save_onnx,
    save_pt2,
)
from mmfusion.apis.loaded import LoadedModel
from mmfusion.apis.model_card import model_card
from mmfusion.models.recognizers.multimodal_preprocessor import MultiModalPreprocessor
from mmfusion.utils.errors import ExportError
from mmfusion.utils.optional import import_optional
from mmfusion.utils.paths import write_atomic

FORMATS = ("pt2", "onnx")
Graph = Callable[[Mapping[str, Tensor]], list[np.ndarray]]
TOLERANCE = 1e-4  # between the scores of a graph and the model's own
_SCRIPTS = Path(__file__).parent / "scripts"
_WHY_FIXED = (
    "A side that is a number is fixed: the encoder has a table of positions, or of"
    " times, of that size."
)


def write_graph_folder(
    loaded: LoadedModel,
    out: str | os.PathLike,
    kind: str,
    license_id: str | None = None,
    real: Mapping[str, Tensor] | None = None,
) -> list[str]:
    """Write ``model.pt2`` or ``model.onnx`` with its card, script and an example.

    The graph is read back from its file and must give the scores of the model, on
    random inputs and on real ones, of other numbers of clips than it was traced with.

    Args:
        loaded: the model. out: the folder, new or empty. kind: of ``FORMATS``.
        license_id: of the weights. real: normalised inputs of real clips, (b, ...) by
            name, b 2 or more; None: none are here.

    Returns:
        A line for each comparison.

    Raises:
        ExportError: the model has no such form, or its scores differ.
    """
    check_new(out)
    check_streams(loaded.model)
    if kind == "onnx":
        import_optional("onnxruntime", "checks of an export")
    example = dict(real) if real else random_inputs(loaded.model, 2)
    program, sizes = export_program(loaded.model, example)
    tasks = list(loaded.classes)
    with new_folder(out, f"mmfusion {kind}") as folder:
        path = folder / f"model.{kind}"
        if kind == "onnx":
            save_onnx(program, path, list(example), tasks)
        else:
            save_pt2(program, path)
        parity = _parity(loaded, path, example, is_real=real is not None)
        about = _about(loaded, example, sizes, parity)
        write_json(folder / "graph.json", about)
        write_atomic(folder / "example.npz", _example(loaded, example))
        script = f"run_{kind}"
        text = (_SCRIPTS / f"{script}.txt").read_bytes()
        write_atomic(folder / f"{script}.py", text)
        lines = [_line(name, one) for name, one in parity.items()]
        card = copy.deepcopy(loaded.card)
        card["classes"] = loaded.classes
        notes = _notes(path.name, f"{script}.py", about["inputs"], lines)
        name = Path(out).resolve().name
        text = model_card(card, name, license_id, notes, f"{script}.py").encode()
        write_atomic(folder / "README.md", text)
    return lines


def open_graph(path: Path) -> Graph:
    """The graph in a file: inputs (b, ...) by name, in its order -> (b, k) a task.

    Args:
        path: ``.pt2`` or ``.onnx``.

    Raises:
        ExportError: the runtime refuses the file, or later the inputs.
    """
    if path.suffix == ".onnx":
        runtime = import_optional("onnxruntime", "ONNX graphs")
        with _as_one_line():
            session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    else:
        with _as_one_line(), quiet():
            graph = torch.export.load(path).module()

    def run(inputs: Mapping[str, Tensor]) -> list[np.ndarray]:
        with _as_one_line(), torch.no_grad():
            if path.suffix == ".onnx":
                return session.run(None, {k: x.numpy() for k, x in inputs.items()})
            return [x.numpy() for x in graph(*inputs.values())]

    return run


@contextmanager
def _as_one_line() -> Iterator[None]:
    """Whatever a runtime raises becomes an ExportError."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ExportError(
            f"the written graph cannot be run: {type(error).__name__}: {reason}"
        ) from error


def _parity(
    loaded: LoadedModel, path: Path, example: Mapping[str, Tensor], *, is_real: bool
) -> dict[str, dict[str, Any]]:
    """Largest difference of a probability by kind of inputs, and how many clips."""
    generator = torch.Generator().manual_seed(1)
    trials = {"random": _like(example, 3, generator)}
    if is_real:
        trials["real"] = dict(example)
    found, run = {}, open_graph(path)
    for name, inputs in trials.items():
        expected = _scores(loaded, inputs)
        got = run(inputs)
        worst = max(
            float(np.abs(a - b).max()) for a, b in zip(got, expected, strict=True)
        )
        if not worst <= TOLERANCE:  # a NaN, too
            raise ExportError(
                f"the graph gives other scores than the model on {name} inputs: they"
                f" differ by up to {worst:.2g}, allowed is {TOLERANCE:g}; nothing is"
                " written"
            )
        clips = len(next(iter(inputs.values())))
        found[name] = {"largest_difference": worst, "clips": clips}
    return found


def _scores(loaded: LoadedModel, inputs: Mapping[str, Tensor]) -> list[np.ndarray]:
    graph = ScoreGraph(loaded.model, tuple(inputs)).eval()
    with torch.no_grad():
        return [x.numpy() for x in graph(*inputs.values())]


def _like(
    example: Mapping[str, Tensor], count: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """``count`` random clips of the shapes of an example; words are shuffled ones."""
    found = {}
    for name, x in example.items():
        shape = (count, *x.shape[1:])
        if x.dtype == torch.bool:
            found[name] = torch.rand(shape, generator=generator) > 0.2
        elif x.is_floating_point():
            found[name] = torch.randn(shape, generator=generator)
        else:
            flat = x.flatten()
            picks = torch.randint(len(flat), shape, generator=generator)
            found[name] = flat[picks]
    return found


def _about(
    loaded: LoadedModel,
    example: Mapping[str, Tensor],
    sizes: Mapping[str, Sequence[int | None]],
    parity: Mapping[str, Any],
) -> dict[str, Any]:
    """All that a script needs to know of a graph."""
    inputs = {
        name: {
            "dtype": str(x.dtype).removeprefix("torch."),
            "shape": [side or "any" for side in sizes[name]],
        }
        for name, x in example.items()
    }
    preprocessor = getattr(loaded.model, "data_preprocessor", None)
    if isinstance(preprocessor, MultiModalPreprocessor):
        mean, std = preprocessor.mean.flatten(), preprocessor.std.flatten()
        scale = {"mean": mean.tolist(), "std": std.tolist()}
    else:
        scale = {}
    return {
        "mmfusion": loaded.card["mmfusion"],
        "inputs": inputs,
        "outputs": list(loaded.classes),
        "classes": loaded.classes,
        **scale,
        "pipeline": loaded.pipeline,
        "skeleton": loaded.card["skeleton"],
        "parity": dict(parity),
    }


def _example(loaded: LoadedModel, example: Mapping[str, Tensor]) -> bytes:
    """An npz of one random clip and its scores, which the script compares with."""
    inputs = _like(example, 1, torch.Generator().manual_seed(2))
    scores = dict(zip(loaded.classes, _scores(loaded, inputs), strict=True))
    arrays = {name: x.numpy() for name, x in inputs.items()}
    arrays |= {f"expected_{task}": x for task, x in scores.items()}
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def _line(name: str, found: Mapping[str, Any]) -> str:
    return (
        f"{name} inputs, {found['clips']} clips: scores differ by at most"
        f" {found['largest_difference']:.1e}"
    )


def _notes(
    model: str, script: str, inputs: Mapping[str, Any], parity: Sequence[str]
) -> list[str]:
    """Paragraphs of the card about a graph."""
    rows = [
        f"- `{name}`: {one['dtype']} {one['shape']}" for name, one in inputs.items()
    ]
    return [
        f"`{model}` is a graph that needs no mmfusion: `python {script}`. It takes what"
        " the pipeline below makes, one view of a clip a row, the video after"
        " `(pixels - mean) / std` of `graph.json`, and gives probabilities.",
        "\n".join(rows),
        f"{_WHY_FIXED} A mask is True where a joint was seen; every frame of a video"
        " counts as there.",
        "Compared with the model itself: " + "; ".join(parity) + ".",
    ]
