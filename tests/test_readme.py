"""Commands and examples of the README and of the tools run as they stand there."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def code_after(words):
    """The first Python block after some words of the README."""
    match = re.search(r"```python\n(.*?)```", README.split(words, 1)[1], re.DOTALL)
    return match.group(1)


def run(*command, cwd):
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_the_plugins_train_in_an_empty_folder(tmp_path):
    (tmp_path / "gated_sum.py").write_text(code_after("`gated_sum.py`"))
    (tmp_path / "three_streams.py").write_text(code_after("`three_streams.py`"))
    (tmp_path / "tubelet_mean.py").write_text(code_after("`tubelet_mean.py`"))
    (tmp_path / "my_backbone.py").write_text(code_after("`my_backbone.py`"))
    sizes = "--num-train 16 --num-val 12 --num-test 0"
    commands = [
        f"data/tinyego/generate --layout h2o --out data/tinyego {sizes}",
        "data/h2o/prepare --root data/tinyego",
        "train three_streams.py --cfg-options train_cfg.max_epochs=1",
        "train my_backbone.py --cfg-options train_cfg.max_epochs=1",
    ]
    # one new process for all of them: to start costs more than to run
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.tools.command import run_tool\n"
        f"for command in {commands}:\n"
        "    done = run_tool(*command.split())\n"
        "    assert done.returncode == 0, done.stderr"
    )
    run("-c", code, cwd=tmp_path)
    for name in ("three_streams", "my_backbone"):
        assert (tmp_path / f"work_dirs/{name}/finished.json").is_file()


def test_the_first_example_runs(capsys):
    exec(code_after("one model and one clip"), {})
    assert (
        capsys.readouterr().out == "torch.Size([1, 1568, 192]) torch.Size([1, 192])\n"
    )


def test_the_two_commands_come_first():
    start = "\n".join(README.splitlines()[:40])
    assert "bash tools/quickstart.sh" in start and "bash tools/run_tests.sh" in start


def test_every_file_it_names_exists():
    names = re.findall(r"`((?:tools|configs|mmfusion|tests)/[\w/.-]+)`", README)
    assert len(names) > 10
    assert [name for name in names if not (ROOT / name).exists()] == []


TOOLS = sorted(p for p in ROOT.glob("tools/**/*") if p.suffix in (".py", ".sh"))


@pytest.mark.parametrize("tool", TOOLS, ids=lambda path: path.name)
def test_every_file_exists_that_a_tool_names(tool):
    """In its docstring, its ``--help`` and its messages."""
    text = tool.read_text()
    if tool.suffix == ".py":
        nodes = ast.walk(ast.parse(text))
        text = "\n".join(str(n.value) for n in nodes if isinstance(n, ast.Constant))
    names = re.findall(r"(?<![\w/.-])(?:tools|configs|mmfusion|tests)/[\w/.-]*\w", text)
    assert [name for name in names if not (ROOT / name).exists()] == []
