"""The modules of tools/benchmarks lie beside its scripts, not in a package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools" / "benchmarks"))
