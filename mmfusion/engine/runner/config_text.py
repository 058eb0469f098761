"""Text of a config, laid out once.

MMEngine lays the text out again each time that it logs or writes a config: four times a
run, half a second each, which is longer than an epoch of a nano model on small data.
"""

from functools import lru_cache
from typing import Any

import mmengine.config.config as mmengine_config
from yapf.yapflib.yapf_api import FormatCode


@lru_cache(maxsize=8)
def _laid_out(text: str, style: tuple[tuple[str, Any], ...]) -> tuple[str, bool]:
    found, changed = FormatCode(text, style_config=dict(style))
    return found, bool(changed)


def _format_code(text: str, style_config: dict[str, Any]) -> tuple[str, bool]:
    return _laid_out(text, tuple(style_config.items()))


def format_once() -> None:
    """Make MMEngine remember the texts that it has laid out."""
    mmengine_config.FormatCode = _format_code
