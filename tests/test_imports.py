"""Imports have a direction: what each package may use, and what importing brings."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "mmfusion"
BASE = {"utils", "structures", "registry"}
ABOVE_MODELS = {"datasets", "evaluation", "engine", "questions", "analysis", "apis"}
ABOVE_MODELS |= {"visualization", "layouts"}
# package -> what of ours it may import besides itself; others may import anything
MAY_IMPORT = {
    "utils": set(),
    "structures": BASE,
    "registry": BASE,
    "weights": BASE,
    "layouts": BASE,
    "ops": BASE,
    "models": BASE | {"ops", "weights"},
    "questions": BASE | {"layouts"},
    "hands": BASE | {"weights", "layouts", "datasets"},
}
# what nothing in the library imports: tools and users do
ON_TOP = {"apis", "tinyego"}


@cache
def imports() -> list[tuple[str, str, str]]:
    """(package, imported package, place) of each import of ours, in functions too."""
    return list(_imports())


def _imports() -> Iterator[tuple[str, str, str]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                above = ["mmfusion", *parts][: len(parts) + 1 - node.level]
                start = ".".join([*(above if node.level else []), node.module or ""])
                names = [f"{start}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                top, *rest = name.split(".")
                if top == "mmfusion" and rest and rest[0] != parts[0]:
                    yield parts[0], rest[0], f"{'/'.join(parts)}.py:{node.lineno}"


def test_each_package_imports_only_what_is_below_it() -> None:
    wrong = [
        f"{place} imports mmfusion.{imported}"
        for package, imported, place in imports()
        if imported not in MAY_IMPORT.get(package, {imported})
        or imported in ON_TOP
        or (package == "__init__" and imported != "utils")
    ]
    assert wrong == []


def test_no_packages_import_each_other_in_a_circle() -> None:
    """Not even by an import inside a function."""
    edges: dict[str, set[str]] = {}
    for package, imported, _ in imports():
        edges.setdefault(package, set()).add(imported)
    while edges:
        free = [name for name, used in edges.items() if not used & edges.keys()]
        assert free, f"in a circle: {sorted(edges)}"
        for name in free:
            del edges[name]


def loaded(*statements: str) -> list[list[str]]:
    """Modules beyond torch and mmengine.runner after each statement of one process."""
    say = "print(json.dumps(sorted(set(sys.modules) - before)))\n"
    code = (
        "import json, sys, torch, mmfusion, mmengine.runner\n"
        "assert 'transformers' not in sys.modules  # seconds of every command\n"
        "before = {name for name in sys.modules if 'mmfusion' not in name}\n"
        + "".join(f"{statement}\n{say}" for statement in statements)
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in found.stdout.splitlines()]


# from the import of the tool to a step of the optimizer and a checkpoint's card
TRAINING = """
import mmfusion.engine.launch.start
from mmfusion.engine.launch.config_data import registered
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.late_compiler import import_compiler_late

import_compiler_late()
layer = torch.nn.Linear(2, 2)
optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
layer(torch.ones(1, 2)).sum().backward()
optimizer.step()
optimizer.zero_grad()
assert registered(TRANSFORMS, "LoadSkeleton")
assert not registered(TRANSFORMS, "mmfusion.datasets.transforms.X")
"""


@pytest.mark.slow
def test_models_and_a_training_come_with_little_else() -> None:
    """Counted, as seconds depend on the machine: ``tools/benchmarks/startup.py``."""
    modules, training = loaded("import mmfusion.models", TRAINING)
    ours = [name for name in modules if name.split(".")[0] == "mmfusion"]
    assert len(ours) <= 98
    packages = {name.split(".")[1] for name in ours if "." in name}
    assert not packages & ABOVE_MODELS
    others = {name.split(".")[0] for name in modules}
    heavy = {"decord", "av", "transformers", "openai", "scipy", "sklearn", "triton"}
    heavy |= {"sympy", "matplotlib", "yapf", "setuptools", "pandas", "torchvision"}
    assert not others & heavy
    assert not {"torch._dynamo", "torch.distributed.fsdp"} & set(modules)
    assert not {name.split(".")[0] for name in training} & (heavy - {"av", "decord"})
    assert "mmaction.datasets" not in training  # scipy, for one transform
    assert "torch._dynamo.config" not in training  # torch._dynamo is a stand-in of ours
    assert len(training) <= 700


@pytest.mark.slow
def test_formats_are_read_without_torch() -> None:
    names = [path.stem for path in (ROOT / "layouts").glob("[!_]*.py")]
    code = f"import sys\nfrom mmfusion.layouts import {', '.join(names)}\n"
    code += "assert not {'torch', 'av', 'decord'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("package", ["mmfusion", "mmfusion.utils.errors"])
def test_the_package_alone_needs_no_torch(package: str) -> None:
    code = f"import sys, {package}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
