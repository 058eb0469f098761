"""Settings and fixtures of every test."""

import errno
import logging
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"

# the same examples in each run, and no clock: a busy machine must not fail a test
settings.register_profile(
    "mmfusion",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("mmfusion")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin every test, and what its fixtures build, with the same random numbers."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data beside the repository, or where the environment says."""
    folder = Path(os.environ.get("MMFUSION_SHARED_DATA", SHARED_DATA))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set MMFUSION_SHARED_DATA")
    return folder


@pytest.fixture(autouse=True)
def _mmfusion_scope() -> Iterator[None]:
    """Bare type names mean mmfusion's, as in a run; no test leaves another scope."""
    with DefaultScope.overwrite_default_scope("mmfusion"):
        yield


@pytest.fixture(autouse=True)
def _small_numbers() -> Iterator[None]:
    """Numbers under 1.2e-38 count again, whatever a run in this process has set."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums have one order, and tests that run side by side do not crowd the cores."""
    torch.set_num_threads(1)


class _FullDisk:
    """A file, as os.fdopen gives it, on a disk that takes ``room`` bytes more."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: Any) -> int:
        self.room -= memoryview(data).nbytes
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> "_FullDisk":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Set how many bytes each new file can take; None: as many as there is room."""
    real = os.fdopen

    def set_room(room: int | None) -> None:
        def fdopen(*args: Any) -> Any:
            return real(*args) if room is None else _FullDisk(real(*args), room)

        monkeypatch.setattr(os, "fdopen", fdopen)

    return set_room


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """Messages of MMEngine's current logger, which does not propagate to pytest's."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger = MMLogger.get_current_instance()
    before, logger.handlers = logger.handlers, [Keep()]
    yield lines
    logger.handlers = before
