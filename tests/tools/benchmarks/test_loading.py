"""Loading of a tiny film by every road."""

import json

import pytest
from loading import check_frames
from loading_films import film_of, make_film
from loading_roads import Plan, Road, roads

from mmfusion.utils.errors import InputError
from tests.tools.command import run_tool

SECTION = "<!-- loading benchmark: begin -->\nold\n<!-- loading benchmark: end -->\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    make_film(folder, size=(48, 64), gop=6, megabits=0.2, num_frames=12)
    return folder


def test_a_quick_run_and_its_report(folder, tmp_path):
    out = tmp_path / "loading.json"
    done = run_tool("benchmarks/loading", "--quick", "--videos", folder, "--out", out)
    assert done.returncode == 0, done.stderr
    kept = tmp_path / "loading_quick.json"
    [point] = json.loads(kept.read_text())["points"].values()
    assert {"ours", "MMAction2"} <= point["timed"].keys() & point["stages"].keys()
    assert {"open", "colour", "seek, decode", "resize"} <= point["stages"][
        "ours"
    ].keys()
    (tmp_path / "README.md").write_text(SECTION)
    run_tool("benchmarks/loading", "--report", tmp_path, "--out", kept)
    text = (tmp_path / "README.md").read_text()
    assert "| ours |" in text and "old" not in text


def test_a_road_with_other_frames_is_not_timed(folder):
    def late(plan):
        def shift(results):
            return {**results, "imgs": results["imgs"][1:] + results["imgs"][:1]}

        return [*roads()[0][0].read(plan), shift]

    [path] = folder.glob("*.mp4")
    ways = [roads()[0][0], Road("late", late, list)]
    with pytest.raises(InputError, match="late gives other frames"):
        check_frames(film_of("film", path), (0, 12), Plan(frames=4), ways)
