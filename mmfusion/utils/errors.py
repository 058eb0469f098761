"""Every error that a user can act on, under one base class.

The text of each says what was wrong, in which file and line or key, what was expected
and what to do; tools print it without a traceback.
"""

from collections.abc import Iterable


class MMFusionError(Exception):
    """Base of every error of ours that a user's input, files or machine cause.

    Attributes:
        exit_code: of a tool that ends with it: 2 a wrong input, 3 an unreadable
            checkpoint, 1 a run that failed.
    """

    exit_code = 2


class InputError(MMFusionError, ValueError):
    """An argument, a tensor or a value of a file is wrong; names it."""


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise InputError unless an argument has one of the values that it may have."""
    known = tuple(choices)
    if value not in known:
        raise InputError(f"{name} is {value!r}, expected one of {known}")


class MissingPackageError(MMFusionError, ImportError):
    """An optional package is not installed; the text has the command."""


class BackendError(MMFusionError, RuntimeError):
    """A kernel backend is not there, or cannot do what is asked of it."""

    exit_code = 1


class ConfigError(MMFusionError, ValueError):
    """A config, or an option of the command line, is wrong; names the key."""


class CheckpointError(MMFusionError, RuntimeError):
    """A checkpoint cannot be read, or put into this model; names the file."""

    exit_code = 3


class SaveError(CheckpointError):
    """A checkpoint cannot be written; names the file."""

    exit_code = 1


class WriteError(MMFusionError, OSError):
    """A file cannot be written: the disk is full, or fails; names the file."""

    exit_code = 1


class ExportError(MMFusionError, RuntimeError):
    """A model cannot be written as a graph, or the graph gives other scores."""

    exit_code = 1


class WorkDirError(MMFusionError, RuntimeError):
    """A work folder belongs to another run, or another process is using it."""


class NonFiniteError(MMFusionError, RuntimeError):
    """A loss or a gradient is NaN or infinite; raised before the optimizer step."""

    exit_code = 1


class LostProcessError(MMFusionError, RuntimeError):
    """Another process of the run, a rank or a loader's worker, has ended."""

    exit_code = 1


class TrainingStopped(Exception):
    """Raised by a hook to end training early with its state saved; not a failure."""


class AnnotationError(MMFusionError, ValueError):
    """An annotation is wrong; the text names file, record and key, and what to do."""


class MissingDataError(MMFusionError, FileNotFoundError):
    """A file of a published data set is not there; the text says where to get it."""


class MediaError(MMFusionError, ValueError):
    """A file of a clip cannot be read.

    Only these errors, and OSError, count as a broken clip for the ``on_error`` policy
    of a dataset; every other exception always stops the run.

    A DataLoader rebuilds the error of a worker process from its text alone, so that
    text must be a sufficient argument, and is complete by itself.

    Args:
        path: the file or folder; or, alone, the whole text of the message.
        reason: what is wrong with it; None where ``path`` is the message.
        backend: the reader that failed; None where there is no choice of readers.
    """

    kind = "media"

    def __init__(
        self, path: str, reason: str | None = None, *, backend: str | None = None
    ) -> None:
        self.path = path
        self.reason = reason
        self.backend = backend
        reader = f" with {backend}" if backend else ""
        message = f"cannot read {self.kind} {path!r}{reader}: {reason}"
        super().__init__(path if reason is None else message)


class VideoDecodeError(MediaError):
    """A video cannot be decoded; names the file, the backend and the reason."""

    kind = "video"

    def __init__(
        self, path: str, backend: str | None = None, reason: str | None = None
    ) -> None:
        super().__init__(path, reason, backend=backend)


class ClipLostError(MediaError):
    """A clip hung or crashed the process that read it; names the clip."""

    kind = "clip"


class FrameFolderError(MediaError):
    """A folder of frames, or a file in it, is missing or not readable."""

    kind = "frame folder"


class BoxError(MediaError):
    """A file of boxes is missing, malformed, or belongs to another video."""

    kind = "boxes"


class FeatureError(MediaError):
    """A file of features is missing, damaged, out of date, or of another width."""

    kind = "features"


class ClipExtentError(MediaError):
    """A clip does not lie within its video; names the clip."""

    kind = "clip"


class SkeletonError(MediaError):
    """A skeleton file is missing, malformed, or belongs to another sequence."""

    kind = "skeleton"


# a path that the command or the config names is wrong
_OF_A_PATH = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


def exit_code_of(error: Exception) -> int:
    """Exit code of a tool that ends with ``error``: see :class:`MMFusionError`."""
    if isinstance(error, MMFusionError):
        return error.exit_code
    return 1 if isinstance(error, OSError) and not isinstance(error, _OF_A_PATH) else 2
