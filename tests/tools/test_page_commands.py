"""Commands that a page prints, read by the tools that they name."""

import shlex
from pathlib import Path

import pytest

from mmfusion.analysis.own_clips import TryOptions
from mmfusion.analysis.own_clips.plan import Plan
from mmfusion.analysis.own_clips.runs import page_of
from mmfusion.analysis.trained_runs import place_of, read_runs
from tests.analysis.demo_configs import SKELETON, VIDEO
from tests.analysis.made_runs import data_options, made_predictions, write_run
from tests.tools.command import module_of

PREDICTIONS = made_predictions(["a", "b"], [0, 1], [0, 0], ["x", "y"])


@pytest.fixture
def commands(tmp_path):
    """Words after ``python`` of each command of a page of two runs, by tool."""
    (tmp_path / "my runs").mkdir()
    options = TryOptions(
        *(Path("my clips"), Path("out")),
        **dict(parts=5, with_hands=False, one_hand=True, seeds=2),
    )
    runs = [
        write_run(
            tmp_path / "my runs" / config.stem,
            config,
            data_options("nowhere"),
            PREDICTIONS,
        )
        for config in (VIDEO, SKELETON)
    ]
    plan = Plan({}, 1, 1, 1, (), {"test": 2}, 1)
    page = page_of(read_runs(runs), plan, options, Path("out/page.html"))
    found = {}
    for one in page.commands:
        program, tool, *words = shlex.split(one.line)
        assert program == "python"
        found.setdefault(Path(tool).relative_to("tools").as_posix(), []).append(words)
    return found


def read(tool, words):
    return module_of(tool)["parse_args"](words)


def test_every_command_is_one_of_its_tool(commands):
    assert {*commands} == {
        *("try.py", "infer.py", "test.py", "train.py", "analysis/report.py")
    }
    for tool, lines in commands.items():
        for words in lines:
            read(tool.removesuffix(".py"), words)


def test_a_page_is_made_again_of_all_its_runs_in_its_place(commands, tmp_path):
    args = read("analysis/report", commands["analysis/report.py"][0])
    assert sorted(path.name for path in args.runs) == sorted(
        config.stem for config in (VIDEO, SKELETON)
    )
    assert args.out == Path("out/page.html") and args.title.startswith("my clips")


def test_a_try_keeps_its_options(commands):
    for words in commands["try.py"]:
        args = read("try", words)
        assert (args.parts, args.seeds) == (5, 2)
        assert args.no_hands and args.one_hand
        assert args.folder == Path("my clips") and args.out != Path("out")
    assert [read("try", words).arch for words in commands["try.py"]] == ["nano", "tiny"]


def test_the_run_is_the_model_of_infer(commands):
    args = read("infer", commands["infer.py"][0])
    assert args.videos == ["clip.mp4"] and "my runs" in args.model


def test_a_page_lies_by_its_runs():
    assert place_of([Path("w/a")], "page.html") == Path("w/a/page.html")
    assert place_of([Path("w/a"), Path("w/b")], "x.png") == Path("w/x.png")
    assert place_of([Path("/w/a"), Path("/w/b/c")], "x.png") == Path("/w/x.png")
