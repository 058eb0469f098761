"""Find the shared library of the kernels, or build it from ``csrc``.

Only the standard library is used: ``setup.py`` loads this file alone, in an environment
that has neither torch nor mmfusion.

A library is named after all that decides what is in it,
``mmfusion_ops-<isa>-<sources and flags>-<compiler>-<sha256 of the file>.so``: a cache
may be shared by machines of different kinds, and a file that is not what it was when
it was built shows by its own name. It lies in the package where pip could build it,
else in ``$MMFUSION_CACHE``, ``$XDG_CACHE_HOME/mmfusion`` or ``~/.cache/mmfusion``.
"""

import atexit
import contextlib
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks here: builds at once are all done, the last stays
    fcntl = None  # type: ignore[assignment]

SOURCES = Path(__file__).parent / "csrc"
PREBUILT = Path(__file__).parent / "_prebuilt"
ISA_VARIABLE = "MMFUSION_CPU_ISA"
CACHE_VARIABLE = "MMFUSION_CACHE"
COMPILERS = ("c++", "g++", "clang++")
COMPILER_LIMIT = 300.0  # seconds
_NO_COMPILER = (
    f"no C++ compiler: none of $CXX, {', '.join(COMPILERS)} is on PATH; install one"
    " (`apt-get install g++`, `dnf install gcc-c++` or `conda install gxx`)"
)

# -ffast-math would fold (x + magic) - magic, on which our exp rests, to a constant
_FLAGS = (
    "-std=c++17 -O3 -fPIC -shared -fopenmp -ffp-contract=fast -fno-math-errno"
    " -fno-exceptions -fno-rtti"
)
# instruction set -> what the compiler is told, what the CPU must name; best first
_X86 = {
    "avx512": (
        "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mbmi2",
        "avx512f avx512bw avx512dq avx512vl avx2 fma f16c bmi2",
    ),
    "avx2": ("-mavx2 -mfma -mf16c -mbmi2", "avx2 fma f16c bmi2"),
    "sse2": ("-msse2", ""),
}
_ARM = {"neon": ("", "")}
_OTHER = {"generic": ("", "")}

Say = Callable[[str], None]


class BuildError(RuntimeError):
    """No library, and none can be built; the text says why and what mends it.

    No MMFusionError: setup.py runs this file alone. library.py makes a reason of it.
    """


def open_library(
    say: Say, sources: Path = SOURCES, prebuilt: Path = PREBUILT
) -> ctypes.CDLL:
    """Load the library for this CPU, building it first where there is none.

    Args:
        say: takes one line about what a user should know (a build, a broken file).
        sources: folder of the C++ files. prebuilt: where an install put its library.

    Raises:
        BuildError: no compiler, a compiler that fails, or an unknown instruction set.
    """
    isa = choose_isa()
    stem = _stem(isa, sources)
    library = _load_first(prebuilt, stem, say)
    if library is not None:
        return library
    compilers = find_compilers()
    # where the compiler has gone since, what any compiler built will do
    stem = f"{stem}-{_identity(compilers[0])}" if compilers else stem
    folder = _cache_folder(say)
    library = _load_first(folder, stem, say)
    if library is not None:
        return library
    if not compilers:
        raise BuildError(_NO_COMPILER)
    folder = _writable(folder, say)
    with _locked(folder / f"{stem}.lock"):
        # another process may have built it while this one waited
        library = _load_first(folder, stem, lambda fault: None)
        if library is not None:
            return library
        path = build(folder, isa, compilers, say, sources)
        library, fault = _load(path)
    if library is None:
        raise BuildError(f"{path} was built but does not load: {fault}")
    return library


def build(
    folder: Path,
    isa: str,
    compilers: list[list[str]],
    say: Say,
    sources: Path = SOURCES,
) -> Path:
    """Compile ``sources`` into ``folder`` by the first compiler that can.

    The file appears whole: it is compiled under another name and renamed.

    Args:
        isa: a key of :func:`supported_isas`. compilers: command lines, best first.

    Returns:
        Path of the library; others of its name, which were broken, are removed.

    Raises:
        BuildError: with the last lines of what each compiler said.
    """
    if not compilers:
        raise BuildError(_NO_COMPILER)
    files = sorted(str(path) for path in sources.glob("*.cpp"))
    if not files:
        raise BuildError(f"no C++ source in {sources}; install mmfusion again")
    failures = []
    for compiler in compilers:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as scratch:
            output = Path(scratch, "library.so")
            fault = _compile_all([*compiler, *compiler_flags(isa)], files, output)
            if fault is None:
                digest = _digest(output)
                stem = f"{_stem(isa, sources)}-{_identity(compiler)}"
                path = folder / f"{stem}-{digest}.so"
                output.replace(path)
                _remove_others(path, stem)
                seconds = time.monotonic() - start
                say(f"built the {isa} kernels in {seconds:.1f} s: {path}")
                return path
        failures.append(f"`{shlex.join(compiler)}` failed: {fault}")
    raise BuildError(
        "\n".join(failures) + "\nset CXX to a compiler that has C++17 and OpenMP"
        " (`apt-get install g++`)"
    )


def prebuild(folder: Path, say: Say, sources: Path = SOURCES) -> Path:
    """Build for this CPU into ``folder`` (at an install), in place of older ones.

    Raises:
        BuildError, OSError: it cannot be built, or not there.
    """
    isa = choose_isa()
    folder.mkdir(parents=True, exist_ok=True)
    path = build(folder, isa, find_compilers(), say, sources)
    _remove_others(path, f"mmfusion_ops-{isa}")
    return path


def choose_isa() -> str:
    """The instruction set to build for: ``MMFUSION_CPU_ISA``, else this CPU's best.

    Raises:
        BuildError: the variable names one that this CPU does not have.
    """
    supported = supported_isas()
    wanted = os.environ.get(ISA_VARIABLE)
    if not wanted:
        return supported[0]
    if wanted not in supported:
        raise BuildError(
            f"{ISA_VARIABLE} is {wanted!r}, but this CPU has {', '.join(supported)};"
            f" set it to one of these, or unset it"
        )
    return wanted


def supported_isas() -> list[str]:
    """Names of the instruction sets of this CPU that we build for, best first."""
    features = _cpu_features()
    known = _known_isas()
    return [
        isa for isa, (_, need) in known.items() if features.issuperset(need.split())
    ]


def find_compilers() -> list[list[str]]:
    """Command lines of the C++ compilers here, the preferred first, each once."""
    wanted = [shlex.split(os.environ.get("CXX", "")), *([name] for name in COMPILERS)]
    found: dict[str, list[str]] = {}
    for command in wanted:
        path = shutil.which(command[0]) if command else None
        if path is not None:
            key = shlex.join([os.path.realpath(path), *command[1:]])
            found.setdefault(key, [path, *command[1:]])
    return list(found.values())


def _known_isas() -> dict[str, tuple[str, str]]:
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return _X86
    return _ARM if machine in ("aarch64", "arm64") else _OTHER


def _cpu_features() -> set[str]:
    return set(cpu_fact("flags", "Features").split())


def cpu_fact(*names: str) -> str:
    """The first core's line of one of these names; empty where /proc does not tell."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith(names):
                return line.partition(":")[2].strip()
    return ""


def compiler_flags(isa: str) -> list[str]:
    """Flags that the kernels are compiled with."""
    return f"{_FLAGS} {_known_isas()[isa][0]}".split()


def _stem(isa: str, sources: Path) -> str:
    """Name of a library but for its compiler and its own checksum."""
    content = hashlib.sha256()
    parts = [*compiler_flags(isa), sys.platform, platform.machine()]
    for path in sorted(sources.glob("*.[ch]*")):
        parts += [path.name, hashlib.sha256(path.read_bytes()).hexdigest()]
    content.update("\0".join(parts).encode())
    return f"mmfusion_ops-{isa}-{content.hexdigest()[:16]}"


def _identity(compiler: list[str]) -> str:
    """Changes with the compiler: its path, size and date, as ccache does it."""
    path = os.path.realpath(compiler[0])
    stat = os.stat(path)
    text = f"{shlex.join([path, *compiler[1:]])} {stat.st_size} {stat.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _remove_others(path: Path, stem: str) -> None:
    for other in path.parent.glob(f"{stem}-*.so"):
        if other != path:
            other.unlink(missing_ok=True)


def _load_first(folder: Path, stem: str, say: Say) -> ctypes.CDLL | None:
    """The first sound library of a name; what is wrong with others is said."""
    for path in sorted(folder.glob(f"{stem}-*.so")):
        library, fault = _load(path)
        if library is not None:
            return library
        say(f"{path} is broken and not used: {fault}")
    return None


def _load(path: Path) -> tuple[ctypes.CDLL | None, str]:
    """The library, or why it is none. Opening a truncated file may kill: look first."""
    try:
        if _digest(path) != path.stem.rpartition("-")[2]:
            return None, "its content is not what was built"
        return ctypes.CDLL(str(path)), ""
    except OSError as error:
        return None, str(error)


def cache_folder() -> Path:
    """Folder of what mmfusion keeps for itself to save time; it need not exist.

    Raises:
        RuntimeError: no variable names it, and nobody's home is known.
    """
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"], "mmfusion")
    return Path("~/.cache/mmfusion").expanduser()


def _cache_folder(say: Say) -> Path:
    """The same, of libraries built at first use; a private one where there is none."""
    try:
        return cache_folder()
    except RuntimeError as error:
        return _private_folder(error, say)


def _writable(folder: Path, say: Say) -> Path:
    """The folder, made if need be; a private one where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        return _private_folder(error, say)


def _private_folder(error: Exception, say: Say) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mmfusion-"))
    say(
        f"no cache ({error}): the kernels are built for this process alone; set"
        f" {CACHE_VARIABLE} to a folder that can be written"
    )
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a fork ends with its parent's exit functions
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold ``path`` while building; who cannot get it in time builds all the same.

    Two builds at once are a waste, not an error: each file appears by a rename.
    """
    deadline = time.monotonic() + COMPILER_LIMIT
    with open(path, "w") as lock:
        while fcntl is not None and time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:  # a file system without locks
                break
        yield


def _compile_all(command: list[str], files: list[str], output: Path) -> str | None:
    """Compile the files side by side and link them; why that failed, or None."""
    objects = [str(output.parent / f"{Path(file).stem}.o") for file in files]
    commands = [
        [*command, "-c", file, "-o", made]
        for file, made in zip(files, objects, strict=True)
    ]
    with ThreadPoolExecutor(min(len(files), os.cpu_count() or 1)) as pool:
        faults = list(pool.map(_compile, commands))
    fault = next((fault for fault in faults if fault is not None), None)
    return fault or _compile([*command, *objects, "-o", str(output)])


def _compile(command: list[str]) -> str | None:
    """Run the compiler, in the folder of its output; why it failed, or None."""
    scratch = os.path.dirname(command[-1])
    environment = {**os.environ, "TMPDIR": scratch, "LC_ALL": "C"}
    try:
        # its own session: at the limit the passes go with their driver
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        return str(error)
    with process:
        try:
            output, _ = process.communicate(timeout=COMPILER_LIMIT)
        except subprocess.TimeoutExpired:
            return f"it was stopped after {COMPILER_LIMIT:.0f} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode == 0:
        return None
    lines = [line for line in output.splitlines() if line.strip()]
    last = "\n".join(lines[-6:]) or "it said nothing"
    return f"exit code {process.returncode}\n{last}"
