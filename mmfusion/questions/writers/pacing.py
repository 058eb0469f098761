"""Turns of the requests of all threads: a rate, and pauses that a server asks for."""

import threading
import time

from mmfusion.questions.writers.base import NoAnswerError
from mmfusion.utils.errors import InputError


class Pacer:
    """Turns for the requests of all threads.

    Args:
        requests_per_minute: None for no limit.

    Raises:
        InputError: it is not above zero.
    """

    def __init__(self, requests_per_minute: float | None = None) -> None:
        if requests_per_minute is not None and not requests_per_minute > 0:
            raise InputError(
                f"requests_per_minute is {requests_per_minute}; expected above 0"
            )
        self._interval = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End every wait, now and later, with NoAnswerError."""
        self._stopped.set()

    def wait_for_turn(self) -> None:
        """Return when a request may go out."""
        while True:
            with self._lock:
                now = time.monotonic()
                wait = self._next - now
                if wait <= 0 and not self._stopped.is_set():
                    self._next = now + self._interval
                    return
            if self._stopped.wait(wait):
                raise NoAnswerError("the run was stopped while it waited")

    def pause_all(self, seconds: float) -> None:
        """No request of any thread for so long: the server has asked for it."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
