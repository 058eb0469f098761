"""The repository as it is: who reads files, who catches everything, what could run.

A new reader of a file goes through ``utils/text_files.py``, ``layouts/csv_rows.py``,
``utils/safe_pickle.py`` or another of the files below, where it is bounded, strict, and
names file and line; or it joins the list, with its reason.
"""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# a broad except that does not raise: (file, function) -> the reason
GOES_ON = {
    ("mmfusion/engine/launch/start.py", "run_job"): "the last line of a command",
    ("mmfusion/engine/runner/distributed.py", "write_on_main"): (
        "raised a few lines on, after the other ranks know"
    ),
    ("mmfusion/datasets/media/video_preparation.py", "_serve"): (
        "travels to the parent process, which raises it"
    ),
    ("mmfusion/datasets/clip_process.py", "_answer"): (
        "travels to the process that asked, which raises it"
    ),
    ("mmfusion/evaluation/challenge.py", "read_submission"): "_fail raises",
    ("mmfusion/apis/live.py", "_watch"): "travels to the loop, which raises it",
    ("mmfusion/ops/mamba_ssm_backend.py", "_probe_scan"): (
        "the reason is returned, and raised where this backend was asked for by name"
    ),
    ("mmfusion/ops/mamba_ssm_backend.py", "_probe_conv"): (
        "a package that does not import is as good as missing; logged"
    ),
    ("tools/benchmarks/gpu_plans.py", "plan_point"): "the table names what fails",
    ("tools/benchmarks/gpu_scans.py", "scan_point"): "the table names what fails",
    ("tools/benchmarks/gpu_steps.py", "models"): "the table names what fails",
    ("tools/benchmarks/gpu_steps.py", "step_point"): "the table names what fails",
    ("tools/benchmarks/gpu_steps.py", "compile_step"): "the table names what fails",
}
# files, or folders, that read files or take apart what comes from one themselves
READERS = {
    "mmfusion/utils/text_files.py": "the door of text and JSON",
    "mmfusion/utils/safe_pickle.py": "the door of pickles",
    "mmfusion/layouts/csv_rows.py": "the door of csv",
    "mmfusion/utils/npz_file.py": "the door of npz",
    "mmfusion/weights/files.py": "the door of checkpoints and safetensors",
    "mmfusion/questions/cache.py": "the door of the SQLite file of answers",
    "mmfusion/engine/launch/config_check.py": "the door of configs",
    "mmfusion/engine/launch/config_files.py": "the bases of a config, before it runs",
    "mmfusion/datasets/media/video_index.py": "the door of videos",
    "mmfusion/datasets/media/container_crop.py": "boxes of an MP4 or MKV, for a crop",
    "mmfusion/datasets/caches/token_cache.py": "the door of token caches",
    "mmfusion/datasets/media/feature_files.py": "the door of features: LMDB, tensors",
    "mmfusion/utils/hugging_face.py": "heads of safetensors, to name a damaged one",
    "mmfusion/datasets/media/frame_folder.py": "the door of image files",
    "mmfusion/layouts/egogestar.py": "the first bytes of a video, to know a pointer",
    "mmfusion/utils/warm_start.py": "the log of a command, to write it",
    "mmfusion/layouts/frame_listing.py": "the header of an image, for its size",
    "mmfusion/layouts/epic_kitchens.py": "a list in a cell, by literal_eval",
    "mmfusion/layouts/oakink2.py": "intervals in a key, by literal_eval",
    "mmfusion/layouts/hand_object_boxes.py": "protobuf, out of a checked pickle",
    "mmfusion/evaluation/challenge.py": "the zip of a submission, stricter than JSON",
    "mmfusion/models/heads/answer_head.py": "names; models may import no more modules",
    "mmfusion/apis/folder.py": "bytes of a file, for a digest",
    "mmfusion/apis/live_sources.py": "pictures of a camera",
    "mmfusion/apis/graph_folder.py": "a script of ours, to copy it",
    "mmfusion/engine/runner/work_dir.py": "finished.json of our own run",
    "mmfusion/engine/runner/fusion_runner.py": "settings out of our own checkpoint",
    "mmfusion/engine/launch/start.py": "settings out of our own checkpoint",
    "mmfusion/engine/runner/precision.py": "settings out of our own checkpoint",
    "mmfusion/engine/launch/config_compare.py": "JSON that it has just made",
    "mmfusion/engine/runner/distributed.py": "JSON from another rank",
    "mmfusion/engine/hooks/atomic_checkpoint_hook.py": "bytes, to check a digest",
    "mmfusion/analysis/experiments.py": "settings out of our own checkpoint",
    "mmfusion/analysis/execution.py": "the log of a run, to show its end",
    "mmfusion/datasets/record_store.py": "JSON that it has made itself",
    "mmfusion/datasets/media/video_encoding.py": "the comment in a video of ours",
    "mmfusion/datasets/media/video_preparation.py": "bytes of a video, for a digest",
    "mmfusion/questions/writers/openai_backend.py": "a server's answer",
    "mmfusion/ops/cpu/build.py": "sources of ours and /proc/cpuinfo",
    "mmfusion/visualization/clip_video.py": "writes a video",
    "mmfusion/tinyego/": "what it has just written",
    "mmfusion/hands/model_files.py": "two files of a wheel, each by its digest",
    "tools/benchmarks/": "measurements that they have written themselves",
    "tools/data/h2o/write_answer.py": "writes a zip",
    "tools/questions/from_predictions.py": "bytes, for a digest",
}
READING = {
    *("json.load", "json.loads", "csv.reader", "csv.DictReader", "sqlite3.connect"),
    *("np.load", "np.fromfile", "np.loadtxt", "np.genfromtxt", "np.memmap"),
    *("torch.load", "load_file", "safe_open", "Config.fromfile", "ast.literal_eval"),
    *("zipfile.ZipFile", "tarfile.open", "gzip.open", "bz2.open", "lzma.open"),
    *("struct.unpack", "struct.unpack_from", "struct.iter_unpack"),
    *("Image.open", "av.open", "cv2.imread", "cv2.VideoCapture", "tomllib.load"),
}
READING_METHODS = {"read_text", "read_bytes", "open"}
RUNNING = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
RUNNING |= {"yaml.load", "yaml.full_load", "yaml.unsafe_load", "torch.hub.load"}
UNSAFE_MODULES = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}
# who may name such a module
NAMES_UNSAFE = {
    "mmfusion/utils/safe_pickle.py": "its Unpickler answers names from a table",
    "mmfusion/datasets/clip_process.py": (
        "between a process and its own child, as multiprocessing does; no file"
    ),
    "mmfusion/tinyego/layout_oakink2.py": "writes pickles, as the data set has them",
}

Finding = tuple[str, int]  # what, and the line


@cache
def sources() -> list[tuple[str, ast.Module]]:
    """Every file of the library and its tools, parsed."""
    return [
        (path.relative_to(ROOT).as_posix(), ast.parse(path.read_text()))
        for folder in ("mmfusion", "tools")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def broad_excepts(tree: ast.Module) -> Iterator[Finding]:
    """Functions that catch everything and go on."""
    for node, function in _with_function(tree):
        kinds: set[str] = set()
        if isinstance(node, ast.ExceptHandler):
            if not isinstance(node.body[-1], ast.Raise):
                kinds = _words(ast.unparse(node.type) if node.type else "Exception")
        elif isinstance(node, ast.Call) and _name(node).endswith("suppress"):
            kinds = {word for arg in node.args for word in _words(ast.unparse(arg))}
        if kinds & {"Exception", "BaseException"}:
            yield function, node.lineno


def readings(tree: ast.Module) -> Iterator[Finding]:
    """Calls that read a file, or take apart what may come from one."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _name(node)
        method = name.rpartition(".")[2] if "." in name else ""
        opens = name == "open" or (method in READING_METHODS and name != "os.open")
        place = 1 if name == "open" else 0
        if name in READING or (opens and not _writes(node, place)):
            yield name, node.lineno


def dangers(tree: ast.Module) -> Iterator[Finding]:
    """Calls by which the content of a file could run, or be believed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            names = [module or ""] if module else [one.name for one in node.names]
            for name in names:
                if name.split(".")[0] in UNSAFE_MODULES:
                    yield f"import {name}", node.lineno
        if not isinstance(node, ast.Call):
            continue
        name, given = _name(node), {k.arg: k.value for k in node.keywords}
        if name in RUNNING or name.startswith("builtins."):
            yield name, node.lineno
        for keyword, only, functions in (
            ("weights_only", True, ("torch.load",)),
            ("allow_pickle", False, ("np.load",)),
            ("trust_remote_code", False, ()),
            ("shell", False, ()),
        ):
            value = given.get(keyword)
            right = isinstance(value, ast.Constant) and value.value is only
            if (keyword in given or name in functions) and not right:
                yield f"{name} without {keyword}={only}", node.lineno
        if name.endswith("extractall") and "filter" not in given:
            yield f"{name} without filter", node.lineno


def _with_function(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Every node with the name of the function around it."""

    def walk(node: ast.AST, function: str) -> Iterator[tuple[ast.AST, str]]:
        for child in ast.iter_child_nodes(node):
            yield child, function
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from walk(child, child.name if is_function else function)

    return walk(tree, "")


def _name(node: ast.Call) -> str:
    return ast.unparse(node.func) if len(ast.dump(node.func)) < 1000 else "(...).call"


def _words(text: str) -> set[str]:
    return set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())


def _writes(node: ast.Call, place: int) -> bool:
    """True if ``open`` is given a mode that writes."""
    given = [k.value for k in node.keywords if k.arg == "mode"] + node.args[place:]
    modes = [arg.value for arg in given[:1] if isinstance(arg, ast.Constant)]
    return bool(modes) and any(letter in str(modes[0]) for letter in "wax+")


def _found(check: Callable[[ast.Module], Iterator[Finding]]) -> list[tuple[str, str]]:
    """(file, what) of all findings, each with its line after the file."""
    return [
        (f"{file}:{line}", what)
        for file, tree in sources()
        for what, line in check(tree)
    ]


def test_nobody_catches_everything_and_goes_on() -> None:
    found = _found(broad_excepts)
    known = {(at.split(":")[0], function) for at, function in found}
    assert [at for at in found if (at[0].split(":")[0], at[1]) not in GOES_ON] == []
    assert set(GOES_ON) - known == set(), "no such except any more"


def test_files_are_read_by_the_known_readers_only() -> None:
    found = _found(readings)
    known = tuple(READERS)
    assert [at for at in found if not at[0].startswith(known)] == []
    files = [at for at, _ in found]
    idle = [one for one in READERS if not any(at.startswith(one) for at in files)]
    assert idle == [], "they read nothing any more"


def test_nothing_in_a_file_can_run() -> None:
    found = _found(dangers)
    assert [at for at in found if at[0].split(":")[0] not in NAMES_UNSAFE] == []


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (broad_excepts, "try: f()\nexcept Exception: g()"),
        (broad_excepts, "try: f()\nexcept: pass"),
        (broad_excepts, "try: f()\nexcept (OSError, BaseException) as e: log(e)"),
        (broad_excepts, "with contextlib.suppress(Exception): f()"),
        (readings, "json.loads(path.read_text())"),
        (readings, "with open(path) as f: f.read()"),
        (readings, "with path.open('rb') as f: f.read()"),
        (readings, "np.load(path, allow_pickle=False)"),
        (dangers, "torch.load(path)"),
        (dangers, "torch.load(path, weights_only=False)"),
        (dangers, "np.load(path, allow_pickle=True)"),
        (dangers, "import pickle"),
        (dangers, "from dill import loads"),
        (dangers, "yaml.load(text)"),
        (dangers, "eval(text)"),
        (dangers, "AutoModel.from_pretrained(name, trust_remote_code=True)"),
        (dangers, "tar.extractall(folder)"),
        (dangers, "subprocess.run(line, shell=True)"),
    ],
)
def test_the_auditor_sees(
    check: Callable[[ast.Module], Iterator[Finding]], text: str
) -> None:
    assert list(check(ast.parse(text)))


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (broad_excepts, "try: f()\nexcept Exception as e: raise Ours(e) from e"),
        (broad_excepts, "try: f()\nexcept OSError: pass"),
        (readings, "open(path, 'w').write('x')"),
        (readings, "path.open(mode='ab')"),
        (readings, "read_json(path)"),
        (dangers, "torch.load(path, map_location='cpu', weights_only=True)"),
        (dangers, "model.eval()"),
    ],
)
def test_the_auditor_lets_pass(
    check: Callable[[ast.Module], Iterator[Finding]], text: str
) -> None:
    assert not list(check(ast.parse(text)))
