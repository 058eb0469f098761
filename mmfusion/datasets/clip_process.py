"""Samples made in a process of their own, which can be ended.

C code that hangs or crashes takes its process with it: no exception, no signal handler
and no other thread gets in. So a reader of data (a loader's worker, or the run itself
where it has none) forks one process more, asks it for sample after sample, and ends it
when one takes too long. What travels between the two is pickled, as with the workers of
a loader: both are this program, nobody else has their pipes, and no file holds it.
Arrays lie in memory that both of them see.
"""

import ctypes
import gc
import itertools
import mmap
import os
import pickle
import select
import signal
import sys
import traceback
from collections.abc import Callable
from io import BytesIO
from multiprocessing.connection import Connection, Pipe
from multiprocessing.pool import RemoteTraceback  # type: ignore[attr-defined]
from typing import Any, NoReturn

import numpy as np
import torch

from mmfusion.utils.errors import ClipLostError, LostProcessError

_FIRST_MEMORY = 2**24  # bytes for the arrays of one sample; grows
_IGNORED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2")
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}
CAUSES = {
    signal.SIGKILL: "most likely the machine was out of memory (dmesg says): fewer"
    " workers or smaller batches need less",
    signal.SIGBUS: "most likely /dev/shm is full: fewer workers or smaller batches need"
    " less",
}
_PR_SET_PDEATHSIG = 1


class ClipProcess:
    """Process that makes samples; it starts with the first, and again where it ended.

    Args:
        make: gives a sample; runs in the other process, with all that it refers to as
            it was at the start.
        limit: seconds for one sample.
        is_unwanted: True once nobody waits for a sample any more.
    """

    def __init__(
        self,
        make: Callable[[Any], Any],
        limit: float,
        is_unwanted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._make, self._limit, self.is_unwanted = make, limit, is_unwanted
        self._memory_size = _FIRST_MEMORY
        self._pid = self._owner = 0

    def __call__(self, key: Any) -> Any:
        """The sample of ``key``; an error of ``make`` is raised here.

        Raises:
            ClipLostError: it took too long, or crashed the process.
            LostProcessError: the system, or a person, has ended the process.
        """
        if self._owner != os.getpid():  # never started, or its owner was forked
            self._start()
        try:
            self._requests.send_bytes(pickle.dumps(key))
            self._wait()
            kind, value, text = self._receive()
        except (EOFError, OSError):  # its end of the pipe is closed
            raise self._explain(self.close()) from None
        except BaseException:  # a signal: the answer would be taken for the next one
            self.close()
            raise
        if kind == "error":
            raise value from RemoteTraceback(f'\n"""\n{text}"""')
        return value

    def close(self) -> int:
        """End the process; its exit code, negative for a signal."""
        pid, owner = self._pid, self._owner
        self._pid = self._owner = 0
        if not pid or owner != os.getpid():
            return 0
        self._requests.close()
        self._answers.close()
        try:
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done:
                os.kill(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
        except ChildProcessError:  # somebody else has waited for it
            return 0
        return os.waitstatus_to_exitcode(status)

    def __del__(self) -> None:
        self.close()

    def _start(self) -> None:
        self._memory = mmap.mmap(-1, self._memory_size)
        theirs, self._requests = Pipe(duplex=False)
        self._answers, back = Pipe(duplex=False)
        owner = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._requests.close()
            self._answers.close()
            self._owner = 0
            _serve(theirs, back, self._make, self._memory, owner)
        self._pid, self._owner = pid, owner
        theirs.close()
        back.close()
        self._poll = select.poll()
        self._poll.register(self._answers.fileno(), select.POLLIN)

    def _wait(self) -> None:
        """Wait for an answer, second by second: a job may be stopped for hours.

        Raises:
            ClipLostError: there is none within the limit.
            LostProcessError: nobody wants it any more.
        """
        left = self._limit
        while left > 0:
            if self._poll.poll(1000 * min(left, 1.0)):
                return
            if self.is_unwanted():
                raise LostProcessError("the run has ended while a sample was read")
            left -= 1.0
        raise ClipLostError(f"it took longer than {self._limit:g} s (clip_timeout)")

    def _receive(self) -> tuple[str, Any, str]:
        sizes, head = pickle.loads(self._answers.recv_bytes())
        if sum(sizes) > len(self._memory):  # they come by the pipe, this once
            buffers = [bytearray(self._answers.recv_bytes()) for _ in sizes]
            self._memory_size = 2 * sum(sizes)
            self.close()  # the next process gets more memory
        else:
            ends = list(itertools.accumulate(sizes, initial=0))
            places = itertools.pairwise(ends)
            with memoryview(self._memory) as memory:  # a slice of it is no copy
                buffers = [bytearray(memory[start:end]) for start, end in places]
        return pickle.loads(head, buffers=buffers)

    def _explain(self, code: int) -> Exception:
        if -code in CRASHES:
            name = signal.Signals(-code).name
            return ClipLostError(f"reading it crashed the process ({name})")
        return LostProcessError(f"the process that read it {describe_end(code)}")


def describe_end(code: int) -> str:
    """The end of a process in words, with the likely cause.

    Args:
        code: its exit code, negative for a signal.
    """
    if code >= 0:
        return f"ended with exit code {code}"
    signum = signal.Signals(-code)
    cause = "it crashed" if signum in CRASHES else CAUSES.get(signum)
    return f"was ended by {signum.name}" + (f": {cause}" if cause else "")


def end_with_parent() -> None:
    """Let the kernel end this process when its parent ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Pickler(pickle.Pickler):
    """Tensors as arrays: their own way would go through files of shared memory."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not torch.Tensor or value.layout != torch.strided:
            return NotImplemented
        content = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
        return _tensor, (content, value.dtype, value.shape)


def _tensor(content: np.ndarray, dtype: torch.dtype, shape: torch.Size) -> torch.Tensor:
    return torch.from_numpy(content).view(dtype).reshape(shape)


def _serve(
    requests: Connection,
    answers: Connection,
    make: Callable[[Any], Any],
    memory: mmap.mmap,
    owner: int,
) -> NoReturn:
    """Be the process: answer until the other end is closed."""
    try:
        end_with_parent()
        os.setpgrp()  # a signal to the run's group is the run's affair
        for name in _IGNORED:
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        gc.freeze()  # garbage of the parent may wait for threads that are not here
        torch.set_num_threads(1)  # a pool of threads does not survive a fork
        while os.getppid() == owner:
            key = pickle.loads(requests.recv_bytes())
            _send(answers, *_answer(make, key), memory)
    except (EOFError, OSError):
        pass
    finally:
        os._exit(0)


def _answer(make: Callable[[Any], Any], key: Any) -> tuple[bytes, list]:
    """Head and buffers of the answer: a sample, or the error in its place."""
    try:
        return _encoded(("sample", make(key), ""))
    except Exception as error:
        text = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # a class of the user's with arguments of its own
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return _encoded(("error", error, text))


def _encoded(answer: tuple) -> tuple[bytes, list]:
    buffers: list[pickle.PickleBuffer] = []
    head = BytesIO()
    _Pickler(head, protocol=5, buffer_callback=buffers.append).dump(answer)
    return head.getvalue(), [buffer.raw() for buffer in buffers]


def _send(answers: Connection, head: bytes, views: list, memory: mmap.mmap) -> None:
    sizes = [view.nbytes for view in views]
    fits, start = sum(sizes) <= len(memory), 0
    for size, view in zip(sizes, views, strict=True):
        if fits:
            memory[start : start + size] = view
            start += size
    answers.send_bytes(pickle.dumps((sizes, head)))
    for view in views:
        if not fits:
            answers.send_bytes(view)
