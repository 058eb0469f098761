"""The door to LiteRT, which runs MediaPipe's model files."""

import contextlib
import os
import sys
from collections.abc import Iterator

import numpy as np

from mmfusion.utils.errors import InputError
from mmfusion.utils.optional import import_optional


class Network:
    """A model file of one picture, run on the CPU in this thread.

    Args:
        content: the bytes of the ``.tflite`` file.
        size: pixels a side of its input.
        num_outputs: how many of its outputs are read, the first by name.
    """

    def __init__(self, content: bytes, size: int, num_outputs: int) -> None:
        litert = import_optional("ai_edge_litert.interpreter", "hands from video")
        with _quiet():
            self._run = litert.Interpreter(model_content=content, num_threads=1)
            self._run.allocate_tensors()
        self._input = self._run.get_input_details()[0]["index"]
        shape = tuple(self._run.get_input_details()[0]["shape"])
        details = self._run.get_output_details()
        if shape != (1, size, size, 3) or len(details) < num_outputs:
            raise InputError(
                f"a hand model takes {shape} and gives {len(details)} arrays; expected"
                f" (1, {size}, {size}, 3) and {num_outputs}"
            )
        # the file's own order is not the interpreter's
        ordered = sorted(details, key=lambda detail: detail["name"])
        self._outputs = [detail["index"] for detail in ordered[:num_outputs]]

    def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
        """The outputs for a picture (size, size, 3) uint8 RGB."""
        self._run.set_tensor(self._input, picture[None].astype(np.float32) / 255)
        self._run.invoke()
        return [self._run.get_tensor(index) for index in self._outputs]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep a line of LiteRT's C++ from stderr, which no setting of it does."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
