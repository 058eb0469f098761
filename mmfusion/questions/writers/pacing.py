"""When the next request may go out: a rate, pauses that a server asks for, back-off."""

import random
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mmfusion.questions.writers.base import NoAnswerError
from mmfusion.utils.errors import InputError

LONGEST_WAIT = 300.0  # seconds; a server that asks for more gets no further request
_FIRST_WAIT, _LONGEST_BACK_OFF = 0.5, 60.0


class Pacer:
    """Turns for the requests of all threads.

    Args:
        requests_per_minute: None for no limit.
        first_wait: seconds before the first repetition; doubled with each further one.

    Raises:
        ValueError: an argument is not above zero.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        first_wait: float = _FIRST_WAIT,
    ) -> None:
        if requests_per_minute is not None and not requests_per_minute > 0:
            raise InputError(
                f"requests_per_minute is {requests_per_minute}; expected above 0"
            )
        self._interval = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._first_wait = first_wait
        self._next = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._random = random.Random()

    def stop(self) -> None:
        """End every wait, now and later, with NoAnswerError."""
        self._stopped.set()

    def wait_for_turn(self) -> None:
        """Return when a request may go out."""
        while True:
            with self._lock:
                now = time.monotonic()
                wait = self._next - now
                if wait <= 0:
                    self._next = now + self._interval
                    return
            self._sleep(wait)

    def pause_all(self, seconds: float) -> None:
        """No request of any thread for so long: the server has asked for it."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def back_off(self, repetition: int) -> None:
        """Wait before repetition 0, 1, ...: longer each time, by chance a bit more."""
        seconds = min(self._first_wait * 2**repetition, _LONGEST_BACK_OFF)
        self._sleep(seconds * self._random.uniform(1.0, 1.25))

    def _sleep(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise NoAnswerError("the run was stopped while it waited")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait (``Retry-After``: a number or a date)."""
    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        seconds = (date - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if seconds == seconds else None
