"""The two commands of the README: what they find, say and refuse."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def bash(code, *, path=None, **env):
    """Run bash code; ``path`` replaces PATH."""
    keep = {k: os.environ[k] for k in ("PATH", "LANG") if k in os.environ}
    return subprocess.run(
        ["/bin/bash", "-c", code],
        env={**keep, **({"PATH": str(path)} if path else {}), **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def write_python(folder, name, version, *, log=None):
    """A stand-in for Python of that version, which notes how it was called."""
    folder.mkdir(parents=True, exist_ok=True)
    note = f'echo "$@" >> "{log}"\n' if log else ""
    shift = f"import sys; sys.version_info = {version}; "
    (folder / name).write_text(
        f"#!/bin/bash\n{note}"
        f'[ "$1" = -c ] && exec "{sys.executable}" -c "{shift}$2"\nexit 0\n'
    )
    (folder / name).chmod(0o755)


SCRIPTS = sorted(
    str(path.relative_to(TOOLS)) for path in TOOLS.rglob("*.sh") if path.name[0] != "_"
)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_needs_nothing(script, tmp_path):
    for name in ("bash", "dirname", "sed", "cat"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    found = bash(f"bash {TOOLS / script} --help", path=tmp_path)
    assert found.returncode == 0, found.stderr
    assert f"bash tools/{script}" in found.stdout and "set -euo" not in found.stdout


@pytest.mark.parametrize(
    ("command", "match"),
    [
        ("dist_train.sh", "expected CONFIG NUM_PROCESSES, got 0 of 2"),
        ("dist_train.sh a.py two", "NUM_PROCESSES is 'two'"),
        ("dist_test.sh a.py b.pth", "expected CONFIG CHECKPOINT NUM_PROCESSES, got 2"),
        ("dist_test.sh a.py b.pth 0", "NUM_PROCESSES is '0'"),
        ("slurm_train.sh gpu job", "expected PARTITION JOB_NAME CONFIG, got 2 of 3"),
        ("slurm_test.sh gpu job a.py", "got 3 of 4"),
        ("slurm_train.sh gpu job a.py", "there is no srun here"),
        ("benchmarks/gpu.sh --what", "unknown option --what"),
        ("benchmarks/gpu_wheels.sh --out", "--out needs a value"),
    ],
)
def test_wrong_arguments_of_scripts_are_one_line(command, match):
    found = bash(f"bash {TOOLS}/{command}")
    assert found.returncode == 2 and match in found.stderr.splitlines()[0]
    assert "unbound" not in found.stderr


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ("--seeds 0", "--seeds is '0'"),
        ("--seeds x", "--seeds is 'x'"),
        ("--seeds", "--seeds needs a value"),
        ("--some", "unknown option --some"),
    ],
)
def test_a_wrong_option_is_named_before_anything_is_done(arguments, match):
    found = bash(f"bash {TOOLS}/quickstart.sh {arguments}")
    assert found.returncode == 2 and match in found.stderr


def test_a_python_that_is_too_old_is_passed_over(tmp_path):
    write_python(tmp_path, "python3.11", (3, 10, 2))  # lies about itself
    write_python(tmp_path, "python3", (3, 9, 1))
    source = f"source {TOOLS}/_env.sh; find_python"
    only = f"{tmp_path}:/nowhere"
    # dirname is the only command that sourcing needs
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    found = bash(source, path=only)
    assert found.returncode == 1 and "no Python 3.11 or 3.12" in found.stderr
    write_python(tmp_path, "python", (3, 12, 0))
    assert bash(source, path=only).stdout.strip() == str(tmp_path / "python")


def test_the_active_environment_is_used(tmp_path):
    write_python(tmp_path / "env with space" / "bin", "python", (3, 11, 5))
    code = f'source {TOOLS}/_env.sh; use_environment; echo "$PYTHON"'
    found = bash(code, VIRTUAL_ENV=str(tmp_path / "env with space"))
    assert found.stdout.splitlines()[-1] == f"{tmp_path}/env with space/bin/python"
    old = tmp_path / "old"
    write_python(old / "bin", "python", (3, 8, 5))
    found = bash(code, CONDA_PREFIX=str(old))
    assert found.returncode == 1 and "deactivate it" in found.stderr


class FakeInstallation:
    """A repository with requirements, and an environment that notes pip's calls."""

    def __init__(self, folder):
        self.repo, self.log = folder / "a repo", folder / "calls"
        for name in ("tools", "requirements"):
            (self.repo / name).mkdir(parents=True)
        (self.repo / "setup.cfg").touch()
        (self.repo / "tools/_env.sh").write_text((TOOLS / "_env.sh").read_text())
        self.runtime = self.repo / "requirements/runtime.txt"
        self.python = folder / "env/bin/python"
        write_python(self.python.parent, "python", (3, 11, 5), log=self.log)
        prefix = f"import sys; sys.prefix = '{folder / 'env'}'; import"
        text = self.python.read_text()
        self.python.write_text(text.replace('-c "import', f'-c "{prefix}'))

    def pip_calls(self):
        """The lines of what pip was asked to do by one more installation."""
        self.log.write_text("")
        code = (
            f'source "{self.repo}/tools/_env.sh"; PYTHON="{self.python}"; '
            "install_requirements runtime"
        )
        found = bash(code)
        assert found.returncode == 0, found.stderr
        return [x for x in self.log.read_text().splitlines() if "pip install" in x]


def test_packages_are_installed_once_and_again_when_the_list_changes(tmp_path):
    fake = FakeInstallation(tmp_path)
    fake.runtime.write_text("torch==2.13.0  # first\nnumpy\n")
    first = fake.pip_calls()
    assert first[0].endswith("torch==2.13.0")
    assert first[1].endswith(f"--requirement={fake.runtime}")
    assert first[2].endswith(f"--editable {fake.repo}")
    assert fake.pip_calls() == []
    fake.runtime.write_text("torch==2.13.0\nnumpy\nscipy\n")
    assert len(fake.pip_calls()) == 3


def test_a_command_that_fails_shows_the_end_of_its_output(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/_env.sh").write_text((TOOLS / "_env.sh").read_text())
    source = f"set -eu; source {tmp_path}/tools/_env.sh; "
    found = bash(source + "quietly Work bash -c 'echo the reason; exit 4'; echo on")
    assert found.returncode == 1
    assert "the reason" in found.stderr and "exit code 4" in found.stderr
    assert "on" not in found.stdout.split()
    assert bash(source + "quietly Work true").stdout.startswith("Work: ")
