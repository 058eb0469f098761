"""A web page on this machine: a video in, its labels and its overlay out."""

import os
import tempfile
from pathlib import Path
from typing import Any

from mmfusion.apis.inferencer import Inferencer
from mmfusion.apis.overlays import shown_task, write_overlay
from mmfusion.apis.windows import STRIDE_SECONDS, read_window
from mmfusion.utils.errors import InputError, MMFusionError
from mmfusion.utils.optional import import_optional

HOST = "127.0.0.1"  # nobody else may send videos here


def serve(infer: Inferencer, port: int) -> None:
    """Open the page and answer until the process is stopped.

    Args:
        infer: the model. port: of the page.

    Raises:
        MissingPackageError: gradio is not installed.
        InputError: the port is taken.
    """
    page = build_page(infer)
    try:
        page.launch(server_name=HOST, server_port=port, share=False, show_error=True)
    except OSError as error:
        raise InputError(
            f"port {port} of {HOST}: {error}; expected a free one"
        ) from None


def build_page(infer: Inferencer) -> Any:
    """The page, a ``gradio.Blocks``; its API has one endpoint, ``/label``."""
    # it would tell its makers of each start, and ask them for its version
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    gradio = import_optional("gradio", "web pages of a model", "serve")

    def label(
        video: str | None, window: str, stride: float, question: str, hands: str
    ) -> tuple[str, dict[str, float], dict[str, Any]]:
        try:
            return _answer(infer, video, window, stride, question, hands)
        except (MMFusionError, OSError) as error:
            raise gradio.Error(str(error)) from error

    reads_text = "text" in infer.loaded.streams
    with gradio.Blocks(title="mmfusion", analytics_enabled=False) as page:
        gradio.Markdown(f"## mmfusion\n`{infer.loaded.path}`")
        with gradio.Row():
            with gradio.Column():
                video = gradio.Video(label="video", sources=["upload", "webcam"])
                with gradio.Row():
                    window = gradio.Textbox("auto", label="window (s, auto, whole)")
                    stride = gradio.Number(STRIDE_SECONDS, label="stride (s)")
                question = gradio.Textbox(label="question", visible=reads_text)
                hands = gradio.Radio(
                    ["auto", "extract", "none"], value="auto", label="hands"
                )
                button = gradio.Button("Label", variant="primary")
            with gradio.Column():
                overlay = gradio.Video(label="labelled", autoplay=True)
                classes = gradio.Label(num_top_classes=5, label="whole video")
                plain = gradio.JSON(label="JSON")
        button.click(
            label,
            [video, window, stride, question, hands],
            [overlay, classes, plain],
            api_name="label",
        )
    return page


def _answer(
    infer: Inferencer,
    video: str | None,
    window: str,
    stride: float,
    question: str,
    hands: str,
) -> tuple[str, dict[str, float], dict[str, Any]]:
    """Path of the overlay, scores by class, and the prediction as plain data."""
    if not video:
        raise InputError("no video; expected one, uploaded or from the camera")
    found = infer.predict(
        video,
        window=read_window(window),
        stride=stride,
        question=question or None,
        hands=None if hands == "none" else hands,
    )
    task = shown_task(found, None)
    folder = Path(tempfile.mkdtemp(prefix="mmfusion-"))
    path = folder / f"{Path(video).stem}.overlay.mp4"
    write_overlay(path, found)
    best = found.best(task, found.whole(task), 5)
    scores = {item["class"]: item["score"] for item in best}
    return str(path), scores, found.to_dict()
