"""Start a tool in several processes of this machine, as dist_*.sh do.

    python tools/launch.py NUM_PROCESSES train.py CONFIG [options of the tool]

The processes find each other by PORT (29500) and, on several machines, NNODES,
NODE_RANK and MASTER_ADDR of the environment. A signal that asks to stop goes on to all
of them, and this command ends with their exit code. Where one fails, it is named with
the likely cause, and the others are ended: half a minute at most.
"""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2")
# seconds after a failure until the others get SIGTERM, and until SIGKILL
PATIENCE = ((12.0, signal.SIGTERM), (20.0, signal.SIGKILL))
CAUSES = {
    signal.SIGKILL: "most likely the machine was out of memory; dmesg says",
    signal.SIGSEGV: "a crash in compiled code",
    signal.SIGABRT: "a crash in compiled code, or a time-out of NCCL",
    signal.SIGBUS: "most likely no space in /dev/shm",
}


def start(num_processes: int, tool: str, arguments: list[str], said: str) -> list:
    """Start the processes of this machine, each with its place in the environment.

    In the file ``said`` they note what they refuse, so that it is told once.
    """
    nodes = int(os.environ.get("NNODES", 1))
    node = int(os.environ.get("NODE_RANK", 0))
    command = [sys.executable, str(Path(__file__).parent / tool)]
    command += ["--launcher", "pytorch", *arguments]
    shared = {
        "MMFUSION_SAID": said,
        "MASTER_ADDR": os.environ.get("MASTER_ADDR", "127.0.0.1"),
        "MASTER_PORT": os.environ.get("PORT", "29500"),
        "WORLD_SIZE": str(nodes * num_processes),
        "LOCAL_WORLD_SIZE": str(num_processes),
    }
    processes = []
    for local in range(num_processes):
        rank = {"RANK": str(node * num_processes + local), "LOCAL_RANK": str(local)}
        environment = {**os.environ, **shared, **rank}
        processes.append(
            subprocess.Popen(command, env=environment, preexec_fn=_end_with_launcher)
        )
    return processes


def _end_with_launcher() -> None:
    """Get SIGTERM when the launcher dies, even of SIGKILL (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def wait(processes: list, first_rank: int, requests: list[int]) -> int:
    """Wait for all processes; the exit code of the command.

    Args:
        processes: what :func:`start` gave.
        first_rank: of this machine.
        requests: signals that asked to stop so far; grows meanwhile.
    """
    failed_at, code, patience = 0.0, 0, list(PATIENCE)
    reported: set[int] = set()
    while len(reported) < len(processes):
        ended = [(process.poll(), local) for local, process in enumerate(processes)]
        new = [
            pair for pair in ended if pair[0] is not None and pair[1] not in reported
        ]
        # a killed one first: another may have ended because of it, and is seen with it
        for status, local in sorted(new):
            reported.add(local)
            if status and not code:
                failed_at, code = time.monotonic(), _exit_code(status)
                if status < 0 or not requests:
                    text = f"process {first_rank + local} {_described(status)}"
                    sys.stderr.write(f"error: {text}\n")
        if failed_at and patience and time.monotonic() - failed_at > patience[0][0]:
            _send(processes, patience.pop(0)[1])
        time.sleep(0.05)
    return code


def _exit_code(status: int) -> int:
    return status if status >= 0 else 128 - status


def _described(status: int) -> str:
    """The end of a process, in words."""
    if status > 0:
        return f"ended with exit code {status}; its message is above"
    name = signal.Signals(-status).name
    cause = CAUSES.get(-status)
    return f"was ended by {name}" + (f": {cause}" if cause else "")


def _send(processes: list, signum: int) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signum)


def main() -> int:
    number, tool, *arguments = sys.argv[1:]
    processes: list = []
    requests: list[int] = []

    def pass_on(signum: int, frame: object) -> None:
        requests.append(signum)
        _send(processes, signum)

    for name in SIGNALS:
        signum = getattr(signal, name)
        if name != "SIGHUP" or signal.getsignal(signum) is not signal.SIG_IGN:  # nohup
            signal.signal(signum, pass_on)
    first_rank = int(number) * int(os.environ.get("NODE_RANK", 0))
    with tempfile.NamedTemporaryFile(prefix="mmfusion-said-") as said:
        processes += start(int(number), tool, arguments, said.name)
        for signum in list(requests):  # that came meanwhile
            _send(processes, signum)
        return wait(processes, first_rank, requests)


if __name__ == "__main__":
    sys.exit(main())
