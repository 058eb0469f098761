"""Command lines of the tools: parser, numbers, and an error as one line."""

import argparse
import functools
import sys
from collections.abc import Callable

from mmfusion.utils.errors import MMFusionError, exit_code_of


def command_parser(doc: str | None) -> argparse.ArgumentParser:
    """Parser whose help is the tool's docstring as it stands."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def positive(text: str) -> int:
    """Whole number of an option, 1 or more."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number of 1 or more")
    return number


def errors_in_one_line(main: Callable[..., int]) -> Callable[..., int]:
    """Wrap ``main``: what a user can mend is one line on stderr and an exit code.

    The code is that of :func:`mmfusion.utils.errors.exit_code_of`.
    """

    @functools.wraps(main)
    def run(*args: object, **kwargs: object) -> int:
        try:
            return main(*args, **kwargs)
        except (MMFusionError, OSError) as error:
            sys.stderr.write(f"error: {error}\n")
            return exit_code_of(error)

    return run
