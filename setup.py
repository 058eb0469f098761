"""Metadata stands in setup.cfg; this builds the CPU kernels along with an install."""

import importlib.util
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PACKAGE = Path("mmfusion/ops/cpu")


class BuildWithKernels(build_py):
    """Copies the package and, where a C++ compiler works, adds the kernels to it.

    A wheel stays one for any machine: a library bears the name of its instruction set
    and system, and is passed over elsewhere. Without one the kernels are built at their
    first use.
    """

    def run(self) -> None:
        super().run()
        root = Path(__file__).parent
        target = root if self.editable_mode else Path(self.build_lib)
        try:
            build = load(root / PACKAGE / "build.py")
            build.prebuild(target / PACKAGE / "_prebuilt", self.announce)
        except Exception as error:  # an install never fails for a missing compiler
            self.warn(f"the CPU kernels are not built: {error}")


def load(path: Path):
    """One file of the package, which as a whole would import torch."""
    spec = importlib.util.spec_from_file_location("mmfusion_build", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


setup(cmdclass={"build_py": BuildWithKernels})
