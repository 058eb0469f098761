"""Models and tokenizers of transformers, from a folder or the hub's local cache.

``transformers`` is optional and slow to import, so it is imported only inside here.
Nothing is fetched: the error names the command that does it once. Nothing is read but
tensors (safetensors), JSON and vocabularies; code of a repository is never run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmfusion.utils.optional import import_optional

_FILES = ("*.json", "*.txt", "*.safetensors")  # not the same weights of other kinds


def import_transformers() -> Any:
    """Import the package ``transformers``."""
    return import_optional("transformers", "text encoders and tokenizers")


def load_tokenizer(source: str, revision: str | None = None) -> Any:
    """A tokenizer.

    Args:
        source: a folder that ``save_pretrained`` wrote, or a name on the hub.
        revision: commit, tag or branch on the hub; None is ``main``.

    Raises:
        OSError: it is not here; the message has the command that fetches it.
    """
    return load_local(import_transformers().AutoTokenizer, source, revision)


def find_file(source: str, name: str, revision: str | None = None) -> Path | None:
    """A file of a folder, or of the cache of the hub; None where it is not here."""
    if Path(source).is_dir():
        path = Path(source, name)
        return path if path.is_file() else None
    if source.count("/") > 1:
        return None
    from huggingface_hub import try_to_load_from_cache  # slow to import

    try:
        found = try_to_load_from_cache(source, name, revision=revision)
    except ValueError:  # no name of the hub
        return None
    return Path(found) if isinstance(found, str) else None


def load_local(
    kind: Any, source: str, revision: str | None = None, **options: Any
) -> Any:
    """``kind.from_pretrained`` of a folder, or of the cache of the hub.

    Args:
        kind: a class of transformers. source: folder or name on the hub.
        revision: on the hub. options: further arguments of ``from_pretrained``.

    Raises:
        OSError: it is not here; the message has the command that fetches it.
    """
    load: Callable[..., Any] = kind.from_pretrained
    try:
        with _silence():
            return load(
                source,
                revision=revision or "main",
                local_files_only=True,
                trust_remote_code=False,
                **options,
            )
    except _unreadable() as error:
        reason = f"{_damaged_file(source)}{' '.join(str(error).split()):.300}"
        is_tokenizer = "Tokenizer" in kind.__name__
        raise OSError(_message(source, revision, reason, is_tokenizer)) from error


def value_errors() -> tuple[type[Exception], ...]:
    """Errors that transformers raises for wrong values of a config."""
    errors = import_optional("huggingface_hub.errors", "models of transformers")
    found = getattr(errors, "StrictDataclassError", None)  # since huggingface_hub 0.31
    plain = (TypeError, ValueError)
    return plain if found is None else (*plain, found)


def _unreadable() -> tuple[type[Exception], ...]:
    """Errors that transformers raises for files that are missing or damaged."""
    from safetensors import SafetensorError

    return (KeyError, OSError, SafetensorError, *value_errors())


def _damaged_file(source: str) -> str:
    """The first file of weights in a folder that cannot be opened, or nothing."""
    from safetensors import SafetensorError, safe_open

    for path in sorted(Path(source).glob("*.safetensors")):
        try:
            with safe_open(path, "numpy"):
                pass
        except (OSError, SafetensorError):
            return f"{path.name} is damaged: "
    return ""


@contextmanager
def _silence() -> Iterator[None]:
    """No progress bar, and no table of the keys that an encoder does not need."""
    from transformers.utils import logging

    bar, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def _message(source: str, revision: str | None, reason: str, is_tokenizer: bool) -> str:
    if find_file(source, "config.json", revision) and not Path(source).is_dir():
        return f"{source} is in the cache of the hub, but cannot be read: {reason}"
    if Path(source).is_dir():
        return f"folder {source} cannot be read by transformers: {reason}"
    if source.count("/") > 1:  # names on the hub have one
        text = (
            f"there is no folder {source!r}, which save_pretrained would have written"
        )
        if not is_tokenizer:
            return f"{text}; correct the path, or give a name on the hub"
        return (
            f"{text}; a data set's tokenizer comes with the data: TinyEgo's by\n"
            "    python tools/data/tinyego/generate.py --layout ek100 --num-train 1440"
            f" --out {Path(source).parent}\n"
            f"    python tools/data/ek100/prepare.py --root {Path(source).parent}"
        )
    patterns = " ".join(f'--include "{pattern}"' for pattern in _FILES)
    pinned = f" --revision {revision}" if revision else ""
    return (
        f"{source!r} is neither a folder nor in the local cache of the hub"
        f" ({reason.splitlines()[0]}). Fetch it once, where there is a network:\n"
        f"    hf download {source}{pinned} {patterns}\n"
        "or give the path of a folder that save_pretrained wrote"
    )
