"""``tools/export.py``: what a person types, and what is wrong with it."""

import pytest

from mmfusion.apis import load_model
from tests.apis.small import CLASSES, write_checkpoint
from tests.tools.command import run_tool


def test_a_checkpoint_becomes_a_folder(tmp_path):
    write_checkpoint(tmp_path / "best.pth")
    done = run_tool("export", tmp_path / "best.pth", "--out", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"wrote {tmp_path / 'model'}"
    assert load_model(tmp_path / "model").classes == CLASSES
    done = run_tool("export", tmp_path / "best.pth", "--out", tmp_path / "model")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "not empty" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing.pth"], 3, "error: checkpoint nothing.pth does not exist"),
        (["."], 3, "error: . has no checkpoint"),
        (["x", "--format", "onnx", "--push", "a/b"], 2, "--push goes with"),
        (["x", "--format", "pt2", "--merged"], 2, "--merged goes with"),
        (["x", "--format", "tflite"], 2, "invalid choice"),
    ],
)
def test_a_wrong_command_is_one_line(tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    done = run_tool("export", *arguments)
    assert done.returncode == code
    assert message in done.stderr.splitlines()[-1]
    assert [*tmp_path.iterdir()] == []
