"""Imports have a direction: what each package may use, and what importing brings."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
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


def imports() -> Iterator[tuple[str, str, str]]:
    """(package, imported package, place) of each import of ours, in functions too."""
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


def loaded(statement: str) -> list[str]:
    """Modules that a statement loads beyond torch and mmengine.runner, alone."""
    code = (
        "import json, sys, torch, mmfusion, mmengine.runner\n"
        "assert 'transformers' not in sys.modules  # seconds of every command\n"
        "before = {name for name in sys.modules if 'mmfusion' not in name}\n"
        f"{statement}\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout)


@pytest.mark.slow
def test_models_come_with_little_else() -> None:
    modules = loaded("import mmfusion.models")
    ours = [name for name in modules if name.split(".")[0] == "mmfusion"]
    assert len(ours) <= 95
    packages = {name.split(".")[1] for name in ours if "." in name}
    assert not packages & ABOVE_MODELS
    others = {name.split(".")[0] for name in modules}
    heavy = {"decord", "av", "transformers", "openai", "scipy", "sklearn", "triton"}
    assert not others & heavy
    assert "torch._dynamo" not in modules  # half a second


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
