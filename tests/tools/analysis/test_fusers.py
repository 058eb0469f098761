import json

import pytest

from tests.tools.command import main_of

main = main_of("analysis/fusers")


def test_the_command(tmp_path, capsys):
    out = tmp_path / "fusers.json"
    sizes = ["--video-tokens", "9", "--text-tokens", "4"]
    assert main(["--width", "1024", *sizes, "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "width 1024" in printed and "Table 4" not in printed
    assert "…" not in printed  # a pipe has 80 columns
    names = [row["name"] for row in json.loads(out.read_text())]
    assert "MambaVL" in names and "Transformer 12x12" not in names  # 12 heads of 1024
    with pytest.raises(SystemExit) as stop:
        main(["--questions", "0"])
    assert stop.value.code == 2
