import json
from subprocess import CompletedProcess

import pytest
import torch
from model import Classifier, floor_of, memory_cell, parse_args, peak_of

from tests.tools.command import run_tool

SECTION = "<!-- model benchmark: begin -->\nold\n<!-- model benchmark: end -->\n"


def run(*arguments: object) -> CompletedProcess:
    return run_tool("benchmarks/model", *arguments)


@pytest.mark.slow
def test_a_quick_run_and_its_report(tmp_path):
    out = tmp_path / "model.json"
    done = run("--quick", "--no-memory", "--tune", "--threads", 1, "--out", out)
    assert done.returncode == 0, done.stderr
    kept = tmp_path / "model_quick.json"
    points = json.loads(kept.read_text())["points"]
    step = points["nano 2x32 b1 training step tuned"]
    assert {"torch", "reference"} <= step["timed"].keys()
    (tmp_path / "README.md").write_text(SECTION)
    assert run("--report", tmp_path, "--out", kept).returncode == 0
    assert "| training step, tuned |" in (tmp_path / "README.md").read_text()


def test_floor_of_tiny_counts_ten_giga_multiply_adds():
    args = parse_args([])
    with torch.device("meta"):
        model = Classifier("tiny", 8, 224)
    rates = dict.fromkeys(
        ("exp2_glanes", "fma_glanes", "copy_10mb_gb", "copy_512mb_gb"), 1e30
    )
    floor = floor_of(model, args, rates, 1e9)
    assert floor["inference"] == pytest.approx(10.2, abs=0.1)
    assert floor["training step"] == pytest.approx(3 * floor["inference"])


def test_a_step_that_recomputes_saves_less():
    shape = ["--quick", "--frames", "4", "--batch", "4"]
    kept = [
        peak_of(parse_args([*shape, *more]), "torch", "training step")
        for more in ([], ["--with-cp"])
    ]
    assert 0 < kept[1]["saved"] < kept[0]["saved"] / 2


def test_memory_is_told_beside_what_a_backward_needs():
    assert memory_cell(dict(peak=1_500_000, saved=1_000_000)) == "2 (1.50)"
    assert memory_cell(dict(peak=1_000_000, saved=0)) == "1"
    assert memory_cell(None) == "-"


@pytest.mark.parametrize("tool", ["loading", "model", "scan"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        ('{"points": {', "out.json"),
        ("[]", "holds no results"),
        ('{"points": {"a": {"device": "cpu"}}, "machine": {}}', "another version"),
    ],
)
def test_results_that_cannot_be_reported(tmp_path, tool, content, told):
    out = tmp_path / "out.json"
    if content is not None:
        out.write_text(content)
    done = run_tool(f"benchmarks/{tool}", "--report", tmp_path, "--out", out)
    assert done.returncode != 0
    assert done.stderr.startswith("error: ") and told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_readme_without_the_section(tmp_path):
    facts = dict(cpu="x", threads=1, cores=1, torch="2", python="3", date="today")
    out = tmp_path / "out.json"
    out.write_text(json.dumps(dict(points={}, machine=facts)))
    (tmp_path / "README.md").write_text("# Title\n")
    done = run("--report", tmp_path, "--out", out)
    assert done.returncode == 2 and "needs one line <!-- model" in done.stderr
