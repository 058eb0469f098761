import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmfusion.ops.cpu import build

pytestmark = pytest.mark.skipif(
    not build.find_compilers(), reason="no C++ compiler; `apt-get install g++`"
)

# what setup.py does as well: the file alone, without torch
ALONE = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("build", sys.argv[1])
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)
from pathlib import Path
sources = Path(sys.argv[2])
print(build.open_library(print, sources, sources / "none").answer())
"""


class Place:
    """A folder of tiny sources, a cache, and a compiler that counts its runs."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self.sources = folder / "csrc"
        self.runs = folder / "runs"
        self.compiler = folder / "cxx"
        self.said: list[str] = []
        self.sources.mkdir()
        self.answer(42)
        real = build.find_compilers()[0][0]
        self.write_compiler(f'{self.count()}\nexec {real} "$@"')

    def answer(self, value: int) -> None:
        text = f'extern "C" int answer() {{ return {value}; }}\n'
        (self.sources / "answer.cpp").write_text(text)

    def write_compiler(self, script: str) -> None:
        self.compiler.write_text(f"#!/bin/sh\n{script}\n")
        self.compiler.chmod(0o755)

    def count(self) -> str:
        """A line of a compiler's script that counts the libraries linked."""
        return f'case " $* " in *" -c "*) ;; *) echo run >> {self.runs};; esac'

    def open(self) -> int:
        none = self.sources / "none"
        return build.open_library(self.said.append, self.sources, none).answer()

    def start(self) -> subprocess.Popen:
        command = [sys.executable, "-c", ALONE, build.__file__, str(self.sources)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def libraries(self) -> list[Path]:
        return list(self.cache.glob("*.so"))

    def num_runs(self) -> int:
        return len(self.runs.read_text().split()) if self.runs.exists() else 0


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.setenv("CXX", str(made.compiler))
    monkeypatch.setenv(build.CACHE_VARIABLE, str(made.cache))
    monkeypatch.delenv(build.ISA_VARIABLE, raising=False)
    return made


def without_compiler(place: Place, monkeypatch) -> None:
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(place.cache))


def test_built_once_and_again_when_a_source_changes(place):
    assert [place.open(), place.open(), place.num_runs()] == [42, 42, 1]
    assert [line.partition(" in ")[0] for line in place.said] == [
        f"built the {build.choose_isa()} kernels"
    ]
    place.answer(43)
    assert [place.open(), place.num_runs(), len(place.libraries())] == [43, 2, 2]


def test_an_instruction_set_has_its_own_library(place, monkeypatch):
    place.open()
    monkeypatch.setenv(build.ISA_VARIABLE, build.supported_isas()[-1])
    assert place.open() == 42
    assert place.num_runs() == len({build.supported_isas()[0], build.choose_isa()})


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", None], ids=["empty", "cut", "bit"]
)
def test_a_broken_file_is_built_anew(place, content):
    # not loaded here: what a process has mapped must not change under it
    assert place.start().communicate()[0].split()[-1] == "42"
    (path,) = place.libraries()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\1" if content is None else content)
    assert place.open() == 42
    assert f"{path} is broken and not used" in place.said[0]
    assert [len(place.said), place.num_runs(), place.open()] == [2, 2, 42]
    assert place.libraries() == [path]


def test_no_compiler_says_what_to_install(place, monkeypatch):
    without_compiler(place, monkeypatch)
    with pytest.raises(build.BuildError, match="no C.. compiler.*apt-get install"):
        place.open()


def test_no_compiler_is_needed_for_what_is_built(place, monkeypatch):
    place.open()
    without_compiler(place, monkeypatch)
    assert place.open() == 42


def test_the_compilers_last_lines_are_the_reason(place, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin/none")
    place.write_compiler("echo 'a.cpp:1: error: it is wrong'; exit 3")
    with pytest.raises(build.BuildError, match="exit code 3\na.cpp:1: error: it is"):
        place.open()
    assert place.libraries() == []


def test_the_next_compiler_is_tried(place):
    place.write_compiler("exit 1")
    assert place.open() == 42


def test_a_compiler_that_hangs_is_stopped(place, monkeypatch, tmp_path):
    pid = tmp_path / "pid"

    class Hanging(subprocess.Popen):
        """Its limit counts from when the compiler's own child runs."""

        def communicate(self, *args, **options):
            _wait(pid.exists)
            return super().communicate(*args, **options)

    monkeypatch.setattr(build, "COMPILER_LIMIT", 0.01)
    monkeypatch.setattr(build.subprocess, "Popen", Hanging)
    note = f"echo $! > {pid}.new; /bin/mv {pid}.new {pid}"  # whole or not at all
    place.write_compiler(f"/bin/sleep 600 &\n{note}\nwait")
    monkeypatch.setenv("PATH", "/usr/bin/none")
    with pytest.raises(build.BuildError, match="stopped after"):
        place.open()
    _wait(lambda: not _runs(int(pid.read_text())))


def _wait(condition) -> None:
    """Long enough for any machine; a failure alone takes it."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # dead, though nobody asked yet


@pytest.mark.parametrize("kind", ["a file", "read-only", "no home"])
def test_without_a_cache_the_library_lives_as_long_as_the_process(
    place, monkeypatch, tmp_path, kind
):
    if kind == "a file":
        place.cache.write_text("")
    elif kind == "read-only":
        monkeypatch.setenv(build.CACHE_VARIABLE, "/proc/mmfusion")
    else:
        monkeypatch.delenv(build.CACHE_VARIABLE)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    output, _ = place.start().communicate()
    said = output.splitlines()
    assert [len(said), said[-1]] == [3, "42"]
    assert "for this process alone" in said[0]
    assert str(tmp_path / "tmp") in said[1]  # where it was built
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_read_only_cache_serves_what_it_has(place, monkeypatch):
    place.open()
    monkeypatch.setattr(build, "_writable", None)  # would fail if it were needed
    assert place.open() == 42


def test_two_processes_at_once_compile_once(place):
    real = build.find_compilers()[1][0]
    place.write_compiler(f'{place.count()}\nsleep 0.5\nexec {real} "$@"')
    both = [place.start(), place.start()]
    outputs = [process.communicate()[0].split()[-1] for process in both]
    assert [outputs, place.num_runs()] == [["42", "42"], 1]


def test_an_unknown_instruction_set_is_refused(monkeypatch):
    monkeypatch.setenv(build.ISA_VARIABLE, "mmx")
    with pytest.raises(build.BuildError, match="'mmx', but this CPU has"):
        build.choose_isa()


@pytest.mark.parametrize(
    "features, expected",
    [
        ("sse2", ["sse2"]),
        ("sse2 avx2 fma f16c bmi2", ["avx2", "sse2"]),
        ("avx2 fma f16c bmi2 avx512f", ["avx2", "sse2"]),
        (build._X86["avx512"][1], ["avx512", "avx2", "sse2"]),
    ],
)
def test_instruction_sets_of_a_cpu(monkeypatch, features, expected):
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(build, "_cpu_features", lambda: set(features.split()))
    assert build.supported_isas() == expected


def test_an_install_builds_into_the_package(place, monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("alone", build.__file__)
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    package = tmp_path / "package"
    package.mkdir()
    old = package / f"mmfusion_ops-{build.choose_isa()}-old.so"
    old.write_text("")
    path = alone.prebuild(package, place.said.append, place.sources)
    assert list(package.iterdir()) == [path]
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("CXX")
    library = build.open_library(place.said.append, place.sources, package)
    assert [library.answer(), place.libraries()] == [42, []]
