import json

from tests.ek100_files import make_ek100
from tests.tools.command import main_of

main = main_of("analysis/protocol")


def test_the_command(tmp_path, capsys):
    root, out = make_ek100(tmp_path / "ek100"), tmp_path / "protocols.json"
    assert main(["--root", str(root), "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "of 2 segments" in printed and "eval.py:96" in printed
    rows = {row["name"]: row for row in json.loads(out.read_text())["loaders"]}
    assert rows["V-JEPA 2"]["dropped"]["action not in training"] == 1
    assert main(["--root", str(root), "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("loader,kept,dropped,")


def test_a_missing_file_is_one_line(tmp_path, capsys):
    assert main(["--root", str(tmp_path)]) == 2
    error = capsys.readouterr().err.strip()
    assert "there is no such file" in error and "\n" not in error
    path = make_ek100(tmp_path / "ek100") / "EPIC_100_validation.csv"
    path.write_text(path.read_text().partition("\n")[0] + "\n")
    assert main(["--root", str(path.parent)]) == 2
    assert f"{path}: it has no segments" in capsys.readouterr().err
