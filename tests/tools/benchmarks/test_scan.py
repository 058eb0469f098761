import json
from subprocess import CompletedProcess

import pytest
from measure import in_fresh_process
from scan import parse_args, peak_of

from tests.tools.command import run_tool

SECTION = "<!-- scan benchmark: begin -->\nold\n<!-- scan benchmark: end -->\n"


def run(*arguments: object) -> CompletedProcess:
    return run_tool("benchmarks/scan", *arguments)


@pytest.mark.slow
def test_a_quick_run_its_continuation_and_the_report(tmp_path):
    out = tmp_path / "scan.json"
    quick = ("--quick", "--threads", 1, "--out", out)
    quick += ("--lengths", 40)
    done = run(*quick, "--parts", "scan", "bidirectional", "conv")
    assert done.returncode == 0, done.stderr
    kept = tmp_path / "scan_quick.json"
    points = json.loads(kept.read_text())["points"]
    scan = points["cpu scan b1 l40 d24 n4 forward + backward"]
    assert {"torch", "loop, unbind", "mamba-ssm's formula"} <= scan["timed"].keys()
    assert all(timed["seconds"] for timed in scan["timed"].values())
    assert {"conv", "bidirectional"} <= {point["part"] for point in points.values()}
    again = run(*quick, "--parts", "scan")
    assert f"0 new points, {len(points)} from before" in again.stdout
    (tmp_path / "README.md").write_text(f"head\n{SECTION}tail\n")
    assert run("--report", tmp_path, "--out", kept).returncode == 0
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("head\n") and text.endswith("tail\n") and "old" not in text
    assert "| 40 |" in text
    assert (tmp_path / "benchmark.png").stat().st_size < 100_000


@pytest.mark.slow
def test_peak_of_one_road_in_its_own_process():
    args = parse_args(["--channels", "64"])
    peak = in_fresh_process(peak_of, args, "torch", "forward + backward", 200)
    assert peak["extra"] > 200 * 64 * 4
    assert peak["inputs_and_outputs"] > 200 * 64 * 4 * 7


def test_wrong_sizes_are_said(tmp_path):
    done = run("--rounds", 0)
    assert (
        done.returncode == 2
        and "--rounds: '0', expected a number of 1 or more" in done.stderr
    )
