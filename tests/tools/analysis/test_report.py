"""The page by the command line; the test of a run is a stand-in."""

from mmfusion.evaluation.predictions import save_predictions
from tests.analysis.demo_configs import SKELETON
from tests.analysis.made_runs import data_options, made_predictions, write_run
from tools.analysis import report

PREDICTIONS = made_predictions(["a", "b"], [0, 1], [0, 0], ["x", "y"])


def test_tests_what_was_not_tested_and_writes_one_file(tmp_path, capsys):
    run = write_run(tmp_path / "run", SKELETON, data_options("nowhere"), None)
    commands = []

    def run_command(command, log, on_text):
        commands.append(command)
        save_predictions(command[command.index("--dump") + 1], PREDICTIONS)
        return 0

    out = tmp_path / "new folder" / "page.html"
    arguments = [str(run), "--out", str(out), "--no-clips", "--title", "<b>"]
    assert report.main(arguments, run_command) == 0
    assert report.main(arguments, run_command) == 0
    assert len(commands) == 1 and commands[0][1].endswith("test.py")
    assert "<h1>&lt;b&gt;</h1>" in out.read_text()
    assert "0.0 MB" in capsys.readouterr().out


def test_a_failed_test_and_a_wrong_folder_are_one_line(tmp_path, capsys):
    run = write_run(tmp_path / "run", SKELETON, data_options("nowhere"), None)
    (run / "table.log").write_text("the reason\n")
    assert report.main([str(run), "--no-clips"], lambda *_: 3) == 3
    assert "the reason" in capsys.readouterr().err
    assert report.main([str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith(
        f"error: {tmp_path / 'none'} is no folder"
    )
