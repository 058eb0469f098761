"""Command lines of the tools: parser, numbers, and an error as one line."""

import argparse
import atexit
import fcntl
import functools
import gc
import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn

from mmfusion.utils.errors import MMFusionError, exit_code_of

MOST_SEED = 2**32 - 1  # NumPy's, the narrowest
AMP = ("off", "auto", "force")  # bf16: never, where it is faster, in any case
STOPPED = 130  # exit code after Ctrl-C
SAID = "MMFUSION_SAID"  # file of what the processes of a launcher have said so far


class _Parser(argparse.ArgumentParser):
    """Parser of a tool, of which a launcher may start several."""

    def error(self, message: str) -> NoReturn:
        """End with a usage and one line, said once for all processes."""
        say_once(f"{self.format_usage()}{self.prog}: error: {message}\n")
        sys.exit(2)


def command_parser(doc: str | None) -> argparse.ArgumentParser:
    """Parser whose help is the tool's docstring as it stands.

    The process of a tool ends without a search for cycles among all that it imported,
    which takes 0.7 s.
    """
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    return _Parser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def say_once(text: str) -> None:
    """Write to stderr, unless another process of this launcher has said the same.

    tools/launch.py names the file in which they note it; without one, all is said.
    """
    if not os.environ.get(SAID):
        sys.stderr.write(text)
        return
    with open(os.environ[SAID], "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if text not in file.read():
            sys.stderr.write(text)  # first: another one ends as soon as it is noted
            sys.stderr.flush()
            file.write(text)


def positive(text: str) -> int:
    """Whole number of an option, 1 or more."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number of 1 or more")
    return number


def seed(text: str) -> int:
    """Seed of an option: a whole number that each generator here takes."""
    number = int(text) if re.fullmatch("[0-9]{1,10}", text) else MOST_SEED + 1
    if number > MOST_SEED:
        raise argparse.ArgumentTypeError(
            f"{text!r}, expected a number of 0 to {MOST_SEED}"
        )
    return number


def add_amp_option(parser: argparse.ArgumentParser) -> None:
    """The option ``--amp [force]``: ``args.amp`` is 'off', 'auto' or 'force'."""
    parser.add_argument(
        "--amp",
        nargs="?",
        const="auto",
        default="off",
        type=_amp,
        metavar="force",
        help="bf16 autocast where it is faster on this machine; force: in any case",
    )


def _amp(text: str) -> str:
    if text not in AMP:
        raise argparse.ArgumentTypeError(
            f"{text!r}, expected nothing or force; files stand before --amp"
        )
    return text


def errors_in_one_line(main: Callable[..., int]) -> Callable[..., int]:
    """Wrap ``main``: what a user can mend is one line on stderr and an exit code.

    The code is that of :func:`mmfusion.utils.errors.exit_code_of`, or 130 after Ctrl-C,
    which counts while the tool still imports what ``main`` needs, too.
    """

    @functools.wraps(main)
    def run(*args: object, **kwargs: object) -> int:
        try:
            return main(*args, **kwargs)
        except (MMFusionError, OSError) as error:
            sys.stderr.write(f"error: {error}\n")
            return exit_code_of(error)
        except KeyboardInterrupt:
            sys.stderr.write("stopped\n")
            return STOPPED

    return run
