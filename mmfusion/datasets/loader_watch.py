"""Notes of a loader's workers that outlive them, in memory that all processes see."""

import mmap
import os

_PLACE = 4096  # bytes of one worker


class LoaderWatch:
    """Sample ids that each worker reads, and the word of the run that it is over.

    Args:
        num_workers: of the loader.
    """

    def __init__(self, num_workers: int) -> None:
        self._memory = mmap.mmap(-1, _PLACE * (num_workers + 1))
        self._start = 0
        self._num_workers = num_workers

    def enter(self, worker: int) -> None:
        """Be in a worker from here on."""
        self._start = _PLACE * (worker + 1)
        self._memory[self._start : self._start + 8] = os.getpid().to_bytes(8, "little")

    def note(self, sample_ids: list[str]) -> None:
        """Write down what is read now."""
        if self._start:
            text = ", ".join(sample_ids).encode()[: _PLACE - 8]
            place = text.ljust(_PLACE - 8, b"\0")
            self._memory[self._start + 8 : self._start + _PLACE] = place

    def notes(self) -> dict[int, str]:
        """Ids that each worker read last, by the worker's pid."""
        found = {}
        for start in range(_PLACE, _PLACE * (self._num_workers + 1), _PLACE):
            pid = int.from_bytes(self._memory[start : start + 8], "little")
            text = self._memory[start + 8 : start + _PLACE].rstrip(b"\0")
            if pid:
                found[pid] = text.decode(errors="ignore")
        return found

    def begin(self) -> None:
        """Say that samples are wanted."""
        self._memory[0] = 0

    def end(self) -> None:
        """Say that none is wanted any more."""
        self._memory[0] = 1

    def is_over(self) -> bool:
        """True where nobody waits for a sample."""
        return bool(self._memory[0])
