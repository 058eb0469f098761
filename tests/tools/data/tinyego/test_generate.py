"""The command itself."""

from pathlib import Path
from subprocess import CompletedProcess

from tests.tools.command import run_tool


def _run(*arguments: str) -> CompletedProcess:
    return run_tool("data/tinyego/generate", *arguments)


def test_makes_a_world_and_says_its_ceilings(tmp_path: Path) -> None:
    sizes = ["--num-train", "1", "--num-val", "12", "--num-test", "0", "--size", "54"]
    result = _run("--out", str(tmp_path / "world"), *sizes, "--workers", "1")
    assert result.returncode == 0, result.stderr
    assert "75.0" in result.stdout and "33.3" in result.stdout
    assert (tmp_path / "world/label_split/action_val.txt").is_file()


def test_a_bad_size_is_one_line(tmp_path: Path) -> None:
    result = _run("--out", str(tmp_path / "world"), "--num-val", "100")
    assert result.returncode == 2
    assert "error: num_val is 100; expected a multiple of 12" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_layout_is_refused_by_name(tmp_path: Path) -> None:
    result = _run("--out", str(tmp_path / "world"), "--layout", "fpha")
    assert result.returncode == 2
    assert "invalid choice: 'fpha'" in result.stderr
