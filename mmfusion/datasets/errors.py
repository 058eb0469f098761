"""What can be wrong with one clip's files, told apart from what is wrong in code.

Only these errors, and OSError, count as a broken clip for the ``on_error`` policy of a
dataset; every other exception is a programming error and always stops the run.
"""


class MediaError(ValueError):
    """A file of a clip cannot be read.

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


class FrameFolderError(MediaError):
    """A folder of frames, or a file in it, is missing or not readable."""

    kind = "frame folder"


class SkeletonError(MediaError):
    """A skeleton file is missing, malformed, or belongs to another sequence."""

    kind = "skeleton"
