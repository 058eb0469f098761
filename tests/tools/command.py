"""A tool's ``main``, called in this process as its command line would."""

import runpy
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def main_of(tool):
    """The function ``main`` of ``tools/<tool>.py``."""
    return runpy.run_path(str(TOOLS / f"{tool}.py"))["main"]
