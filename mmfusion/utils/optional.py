"""The door to packages that need not be there, imported where they are used."""

import importlib
from typing import Any

from mmfusion.utils.errors import MissingPackageError


def import_optional(module: str, purpose: str, file: str = "optional") -> Any:
    """Import a module of an optional package.

    Args:
        module: its dotted name. purpose: who needs it, a plural, for the error.
        file: name of the file in requirements/ that has it.

    Raises:
        MissingPackageError: it is not installed; the message has the command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"{purpose} need the package {module.partition('.')[0]}, which cannot be"
            f" imported ({error}): pip install -r requirements/{file}.txt"
        ) from error
