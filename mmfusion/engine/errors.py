"""The errors of training and testing that a user can act on."""


class ConfigError(ValueError):
    """A config, or an option of the command line, is wrong; names the key."""


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written, read, or put into this model; names the file."""


class WorkDirError(RuntimeError):
    """A work folder belongs to another run, or another process is using it."""


class NonFiniteError(RuntimeError):
    """A loss or a gradient is NaN or infinite; raised before the optimizer step."""


class TrainingStopped(Exception):
    """Raised by a hook to end training early with its state saved; not a failure."""
