import json
from itertools import pairwise
from subprocess import CompletedProcess

import ggml_scan
import pytest
import torch
from measure import in_fresh_process
from PIL import Image
from rivals import Road, errors, make_inputs, roads, truth_of
from scan import Bench, parse_args, peak_of
from scan_figure import duration, spread, times
from scan_report import write_report

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
    assert not [name for name in scan["timed"] if name.startswith("ggml")]
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


@pytest.fixture
def without_ggml(monkeypatch, tmp_path):
    """A folder without libraries in place of those that may be installed."""
    monkeypatch.setenv("MMFUSION_GGML", str(tmp_path))
    ggml_scan.load.cache_clear()
    yield
    ggml_scan.load.cache_clear()


def test_without_ggml_the_reason_is_said(without_ggml, tmp_path):
    found, absent = roads("cpu")
    assert absent["ggml"] == f"{tmp_path} has no libggml-base and libggml-cpu"
    assert not [road for road in found if road.name.startswith("ggml")]


@pytest.mark.skipif(bool(ggml_scan.missing()), reason=str(ggml_scan.missing()))
@pytest.mark.parametrize("shape", [(1, 1, 8, 4), (2, 100, 24, 16), (3, 63, 5, 3)])
def test_ggml_equals_the_reference(shape):
    batch, length, channels, states = shape
    inputs = make_inputs(length, batch=batch, channels=channels, states=states)
    [road] = [road for road in roads("cpu")[0] if road.name.startswith("ggml")]
    assert errors(road, inputs, truth_of(inputs, backward=True))["y"] < 1e-5


def test_a_road_without_backward_is_timed_forward_only(tmp_path):
    road = Road("a", lambda x: x["u"].detach() * 2, backward=False)
    inputs = make_inputs(3, channels=2, states=2)
    truth = {"y": inputs["u"].double() * 2, "u": torch.ones(1, 3, 2).double()}
    assert errors(road, inputs, truth) == {"y": 0.0}
    bench = Bench(parse_args(["--out", str(tmp_path / "scan.json")]), None)
    assert bench.chosen([road], 3, "forward") == [road]
    assert bench.chosen([road], 3, "forward + backward") == []


def results_of(modes: dict[str, list[str]], lengths: list[int]) -> dict:
    """Of every road of a mode at each length: as many ms as it has tokens."""
    points = {
        f"{mode} {length}": dict(
            device="cpu",
            part="scan",
            mode=mode,
            length=length,
            batch=1,
            channels=8,
            states=4,
            timed={name: dict(seconds=[length / 1e3]) for name in names},
        )
        for mode, names in modes.items()
        for length in lengths
    }
    machine = dict(cpu="X", threads=1, cores=2, torch="2", python="3", date="today")
    return dict(points=points, machine=machine, versions={"ggml": "0.13.1"})


def test_the_report_shows_ggml_beside_ours(tmp_path):
    ours = ["cpu", "cpu, avx2"]
    modes = {"forward": [*ours, "ggml, avx2", "torch"], "forward + backward": ours}
    (tmp_path / "README.md").write_text(SECTION)
    write_report(results_of(modes, [64, 1024]), tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "| tokens | floor | cpu | cpu, avx2 | ggml, avx2 | torch |" in text
    assert "| tokens | floor | cpu | cpu, avx2 |\n" in text
    assert "ggml 0.13.1" in text and "| 64 | - | 64 | 64 (1) |" in text
    picture = Image.open(tmp_path / "benchmark.png")
    assert picture.width > 1000 and picture.convert("L").getextrema()[0] < 50


def test_names_at_the_ends_of_lines_do_not_touch():
    places = spread([0.1, 0.11, 0.12, 0.24, 0.9], 0.1)
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(places))
    assert places[-1] == 0.9 and sum(places[:4]) == pytest.approx(0.57)


def test_durations_and_ratios_have_three_digits():
    seconds = (28.78, 0.99999, 0.0123, 9.65e-5)
    assert [*map(duration, seconds)] == ["28.8 s", "1 s", "12.3 ms", "96.5 µs"]
    ratios = (1.5, 12.1, 139, 8760)
    assert [*map(times, ratios)] == ["1.50×", "12.1×", "139×", "8760×"]
