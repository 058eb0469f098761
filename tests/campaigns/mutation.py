"""Put one defect at a time into a copy of the code: some test must turn red.

The tests of the file itself run first, then all that name what it defines, then those
of its package; with ``--whole`` the whole suite at last. A defect that none of them
notices survives, and breaks the rule. In tests.campaigns.defects are the defects.
"""

import contextlib
import os
import re
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np

from tests.campaigns.campaign import main
from tests.campaigns.defects import DEFECTS, Defect

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 900.0  # seconds of one set of tests: a defect that hangs is noticed, too
WHOLE = "--whole"


def trial(number: int, random: np.random.Generator, folder: Path) -> str:
    """Outcome of one defect: what noticed it."""
    defect = DEFECTS[number]
    path = copy_of_code(folder) / "mmfusion" / defect.file
    text = path.read_text()
    assert text.count(defect.old) == 1, f"{defect}: expected its text once"
    path.write_text(text.replace(defect.old, defect.new))
    done: set[str] = set()
    for name, tests in stages(defect.file).items():
        new = sorted(set(tests) - done)
        done |= set(new)
        found = run_tests(folder, new) if new else "green"
        if found != "green":
            return f"{found} in {name}"
    raise AssertionError(f"survived: {defect.file}: {defect.old!r} -> {defect.new!r}")


def copy_of_code(folder: Path) -> Path:
    """The repository in ``folder``, without what is made in it."""
    for name in ("mmfusion", "configs", "tests", "tools", "requirements", ".github"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignore)
    for path in ROOT.glob("*.*"):
        if path.is_file():
            shutil.copy2(path, folder)
    return folder


def stages(file: str) -> dict[str, list[str]]:
    """Sets of test files for a file below mmfusion/, the nearest first."""
    source = Path(file)
    package, whole = ROOT / "tests" / source.parent, ROOT / "tests" / source.parts[0]
    own = sorted(package.glob(f"test_{source.stem}*.py"))
    defined = re.findall(
        r"^(?:class|def) ([A-Za-z]\w+)", (ROOT / "mmfusion" / file).read_text(), re.M
    )
    module = re.escape("mmfusion." + ".".join(source.with_suffix("").parts))
    naming = re.compile(rf"{module}\b|\b(?:{'|'.join(defined) or module})\b")
    every = sorted((ROOT / "tests").rglob("test_*.py"))
    every = [path for path in every if path.parent.name != "campaigns"]
    found = {
        "its own tests": own,
        "tests that name it": [p for p in every if naming.search(p.read_text())],
        "tests of its package": [p for p in every if whole in p.parents],
    }
    if os.environ.get("MUTATION_WHOLE"):
        found["the whole suite"] = every
    return {name: [str(p.relative_to(ROOT)) for p in f] for name, f in found.items()}


def run_tests(folder: Path, tests: list[str]) -> str:
    """Run test files of a copy in a process of their own: green, red or too late.

    The process is a fork of this one, which has imported what takes long.
    """
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = _pytest(folder, tests)
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)
    ends = time.monotonic() + LIMIT
    status = 1
    while time.monotonic() < ends:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            break
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if not found:
        os.waitpid(pid, 0)
        return "too late"
    code = os.waitstatus_to_exitcode(status)
    said = (folder / "said.txt").read_text()[-2000:]
    assert code != 99 and code not in (3, 4), f"pytest could not run: {said}"
    return "green" if code in (0, 5) else "red"  # 5: every test was skipped


def _pytest(folder: Path, tests: list[str]) -> int:
    os.setsid()
    said = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    real = ROOT.parent / "shared" / "data"
    os.environ.setdefault("MMFUSION_SHARED_DATA", str(real))
    os.environ["PYTHONPATH"] = str(folder)
    os.chdir(folder)
    for name in [n for n in sys.modules if n.split(".")[0] in ("mmfusion", "tests")]:
        del sys.modules[name]
    sys.path[:] = [str(folder), *(p for p in sys.path if p not in ("", str(ROOT)))]
    import pytest

    # this process has imported anyio, a plugin, before pytest could
    quiet = "ignore::pytest.PytestAssertRewriteWarning"
    return int(pytest.main(["-xq", "-W", quiet, "-p", "no:cacheprovider", *tests]))


def stale() -> list[Defect]:
    """Defects whose text is no longer there, or there more than once."""
    return [
        one
        for one in DEFECTS
        if (ROOT / "mmfusion" / one.file).read_text().count(one.old) != 1
    ]


if __name__ == "__main__":
    import mmengine.runner  # noqa: F401
    import scipy.stats  # noqa: F401
    import torch

    torch.set_num_threads(1)
    if WHOLE in sys.argv:
        sys.argv.remove(WHOLE)
        os.environ["MUTATION_WHOLE"] = "1"
    main(trial, __doc__, len(DEFECTS))
