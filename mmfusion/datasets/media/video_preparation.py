"""Preparing a folder of videos: what is done, by whom, and what is broken.

The rename of an output is the moment at which it is done: a file says in itself what it
was made of (:func:`video_encoding.read_comment`), so that one written just before a
kill is taken over by the next run and not made again. ``manifest.jsonl`` in the output
folder has one line a source, in the order in which they were finished.
"""

import fcntl
import hashlib
import json
import multiprocessing
import os
import queue
import threading
import time
import traceback
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from mmfusion.datasets.conversion import clear_temporaries
from mmfusion.datasets.media.video_encoding import (
    EncodeSettings,
    SegmentWriter,
    decoded_frames,
    read_comment,
    segments_of,
)
from mmfusion.datasets.media.video_index import VideoIndex, read_index
from mmfusion.utils.errors import InputError, MediaError, MMFusionError
from mmfusion.utils.paths import write_atomic

MANIFEST, SETTINGS, LOCK = "manifest.jsonl", "settings.json", ".lock"
MODES = ("prepare", "check", "look")
Record = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One video.

    Attributes:
        name: of the source, relative to the input. source: its path.
        target: the output: a file, or the folder of its chunks.
    """

    name: str
    source: str
    target: str


class OutputError(MMFusionError):
    """An output cannot be written: no video's fault, so the run ends."""


def stamp_of(job: Job) -> dict[str, Any]:
    """By what a changed source is known: its name, bytes and time of change."""
    stat = os.stat(job.source)
    return {"name": job.name, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def process(job: Job, settings: EncodeSettings, mode: str = "prepare") -> Record:
    """Prepare one video, or only decode it (``check``) or open it (``look``).

    Outputs that are whole already are taken over. A broken video leaves none.

    Returns:
        Its line of the manifest: name, bytes, mtime_ns, error (None or the reason),
        and of a good one its frames, seconds, size, rotation, codec order and outputs.

    Raises:
        OutputError: the disk is full, or the like.
    """
    record: Record = {"name": job.name, "bytes": 0, "mtime_ns": 0}
    try:
        stamp = stamp_of(job)
        record |= stamp
        index = read_index(job.source)
        record |= _facts(index)
        if mode == "check":
            for _ in decoded_frames(index):
                pass
        elif mode == "prepare":
            record |= _encode(job, index, settings, stamp)
    except (MediaError, OSError) as error:
        if mode == "prepare":
            _remove_outputs(job)
        return {**record, "error": getattr(error, "reason", None) or str(error)}
    return {**record, "error": None}


def _facts(index: VideoIndex) -> Record:
    height, width = index.size
    return {
        "frames": len(index.times),
        "seconds": round(index.duration, 6),
        "fps": round(len(index.times) / index.duration, 3),
        "height": height,
        "width": width,
        "rotation": index.rotation,
        "closed": index.closed,
    }


def _encode(
    job: Job, index: VideoIndex, settings: EncodeSettings, stamp: dict[str, Any]
) -> Record:
    """Write what is missing of a video's outputs: their names, bytes and checksums."""
    frames, number, frame = enumerate(decoded_frames(index)), -1, None
    outputs, encoded, last = [], 0, None
    for segment in segments_of(index, settings):
        path = _output_path(job, segment.start, settings)
        comment = {**stamp, "start": segment.start, "settings": settings.digest()}
        if read_comment(str(path)) == comment:
            outputs.append(_output(path, path.read_bytes()))
            continue
        writer = SegmentWriter(index, settings, json.dumps(comment))
        for wanted, seconds in zip(segment.numbers, segment.seconds, strict=True):
            while number < wanted:
                number, frame = next(frames)
            assert frame is not None
            writer.add(number, frame, float(seconds))
        data = writer.finish()
        last = (path, data)
        if settings.chunk_seconds:
            _write(path, data)
        outputs.append(_output(path, data))
        encoded += 1
    if last is not None:
        for _ in frames:  # a video that breaks off is known at its end
            pass
        if not settings.chunk_seconds:
            _write(*last)
    if settings.chunk_seconds:
        _remove_outputs(job, keep={output["file"] for output in outputs})
    return {"outputs": outputs, "encoded": encoded, "adopted": len(outputs) - encoded}


def _output(path: Path, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {"file": str(path), "bytes": len(data), "sha256": digest}


def _output_path(job: Job, start: float, settings: EncodeSettings) -> Path:
    target = Path(job.target)
    return target / f"{start:g}.MP4" if settings.chunk_seconds else target


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomic(path, data, sweep=False)
    except OSError as error:
        raise OutputError(f"{path}: {error}") from error


def _remove_outputs(job: Job, keep: Collection[str] = ()) -> None:
    """What an earlier run made of a video that is broken, or shorter than it was."""
    target = Path(job.target)
    for path in target.glob("*.MP4") if target.is_dir() else [target]:
        if (
            str(path) not in keep
            and (read_comment(str(path)) or {}).get("name") == job.name
        ):
            path.unlink()


class OutputFolder:
    """An output folder that one run at a time writes into.

    Args:
        path: made where it is missing. settings: of every video in it.

    Raises:
        ValueError: it was made with other settings, or its manifest is damaged.
        BlockingIOError: another run writes into it.
    """

    def __init__(self, path: Path, settings: EncodeSettings) -> None:
        self.path, self.settings = path, settings
        path.mkdir(parents=True, exist_ok=True)
        self._lock = open(path / LOCK, "a")  # noqa: SIM115
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise BlockingIOError(f"another run writes into {path}") from error
        try:
            self._check_settings()
            self.records = self._read()
        except BaseException:
            self._lock.close()
            raise
        self._file = open(path / MANIFEST, "ab")  # noqa: SIM115

    def close(self) -> None:
        """Let another run in."""
        self._file.close()
        self._lock.close()

    def _check_settings(self) -> None:
        file, now = self.path / SETTINGS, asdict(self.settings)
        if not file.exists():
            write_atomic(file, (json.dumps(now, indent=1) + "\n").encode())
            return
        before = json.loads(file.read_text())
        changed = [
            f"{key} {before.get(key)} -> {value}"
            for key, value in now.items()
            if before.get(key) != value
        ]
        if changed:
            raise InputError(
                f"{self.path} was prepared with other settings ({', '.join(changed)});"
                " give them again, or another --out"
            )

    def _read(self) -> dict[str, Record]:
        """The last record of every source; a line that a kill cut off is removed."""
        file = self.path / MANIFEST
        data = file.read_bytes() if file.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        records = {}
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = json.loads(line)
                records[record["name"]] = record
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{file}:{number} is no record of a video ({error}); delete that"
                    " line: outputs that are there are taken over"
                ) from error
        if len(whole) < len(data):
            os.truncate(file, len(whole))
        return records

    def add(self, record: Record) -> None:
        """Keep a finished video; it is on the disk when this returns.

        Names of outputs are kept relative to the folder, which may move.
        """
        outputs = [
            {**output, "file": os.path.relpath(output["file"], self.path)}
            for output in record.get("outputs", ())
        ]
        record = {**record, "outputs": outputs}
        self.records[record["name"]] = record
        self._file.write(json.dumps(record).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def pending(self, jobs: Sequence[Job], *, retry: bool = False) -> list[Job]:
        """Jobs that are not done: new, changed, or with an output gone.

        Args:
            jobs: all of them. retry: those that were broken too.
        """
        return [job for job in jobs if not self._is_done(job, retry)]

    def _is_done(self, job: Job, retry: bool) -> bool:
        record = self.records.get(job.name)
        if record is None:
            return False
        try:
            stamp = stamp_of(job)
        except OSError:
            return record["error"] is not None and not retry
        if any(record[key] != value for key, value in stamp.items()):
            return False
        if record["error"] is not None:
            return not retry
        return all(self._is_whole(output) for output in record["outputs"])

    def _is_whole(self, output: dict[str, Any]) -> bool:
        try:
            return os.stat(self.path / output["file"]).st_size == output["bytes"]
        except OSError:
            return False

    def damaged(self) -> Iterator[str | None]:
        """For each output that there should be: None, or what is wrong with it."""
        for record in self.records.values():
            for output in record["outputs"]:
                path = self.path / output["file"]
                try:
                    same = _output(path, path.read_bytes())["sha256"]
                except OSError as error:
                    yield f"{path}: {error.strerror}"
                    continue
                fits = same == output["sha256"]
                yield None if fits else f"{path}: other bytes than were written"

    def sweep(self, jobs: Sequence[Job]) -> None:
        """Remove what a killed run left half-written where these jobs write."""
        chunks = self.settings.chunk_seconds
        for folder in {
            Path(job.target) if chunks else Path(job.target).parent for job in jobs
        }:
            if folder.is_dir():
                clear_temporaries(folder)


class _Worker:
    """A process that prepares one video after another, and dies with its parent."""

    def __init__(self, settings: EncodeSettings, mode: str) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["mmfusion.datasets.media.video_preparation"])
        self.pipe, end = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(end, settings, mode), daemon=True
        )
        self.process.start()
        end.close()
        self.job: Job | None = None
        self.since = 0.0

    def give(self, job: Job) -> None:
        self.job, self.since = job, time.monotonic()
        self.pipe.send(job)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection, settings: EncodeSettings, mode: str) -> None:
    """What a worker does. A thread waits for jobs, and for the parent's end."""
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                jobs.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(1)  # the parent was killed: another run may begin now

    threading.Thread(target=listen, daemon=True).start()
    while True:
        job = jobs.get()
        try:
            pipe.send(("record", process(job, settings, mode)))
        except OutputError as error:
            pipe.send(("output", str(error)))
        except BaseException:
            pipe.send(("bug", f"{job.source}:\n{traceback.format_exc()}"))


def run_jobs(
    jobs: Sequence[Job],
    settings: EncodeSettings,
    *,
    mode: str = "prepare",
    num_workers: int = 1,
    timeout: float = 3600.0,
) -> Iterator[Record]:
    """:func:`process` of every job, in the order in which they end.

    A decoder that crashes or hangs takes its process along and nothing else: its video
    is broken, and a new process takes the next one.

    Args:
        jobs: of the videos. settings, mode: as of :func:`process`.
        num_workers: processes. timeout: seconds that one video may take.

    Raises:
        OutputError: an output cannot be written.
        RuntimeError: a worker met an error of our own; the text has its traceback.
    """
    waiting = iter(jobs)
    with _workers(min(num_workers, len(jobs)), settings, mode) as workers:
        for worker in workers:
            worker.give(next(waiting))
        while any(worker.job for worker in workers):
            wait([w.pipe for w in workers if w.job], timeout=min(1.0, timeout))
            for place, worker in enumerate(workers):
                if worker.job is None:
                    continue
                record = _result(worker, timeout)
                if record is None:
                    continue
                if not worker.process.is_alive():
                    worker.stop()
                    worker = workers[place] = _Worker(settings, mode)
                worker.job = None
                following = next(waiting, None)
                if following:
                    worker.give(following)
                yield record


@contextmanager
def _workers(
    count: int, settings: EncodeSettings, mode: str
) -> Iterator[list[_Worker]]:
    workers = [_Worker(settings, mode) for _ in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.stop()


def _result(worker: _Worker, timeout: float) -> Record | None:
    """The record of the worker's job, or None while it is at work."""
    assert worker.job is not None
    try:
        if worker.pipe.poll():
            kind, value = worker.pipe.recv()
            if kind == "output":
                raise OutputError(value)
            if kind == "bug":
                raise RuntimeError(value)
            return value
        if time.monotonic() - worker.since < timeout:
            return None
        reason = f"it took longer than {timeout:g} s"
        worker.process.kill()
        worker.process.join()
    except EOFError:
        worker.process.join()
        reason = f"its process died (exit code {worker.process.exitcode})"
    _remove_outputs(worker.job)
    record: Record = {"name": worker.job.name, "bytes": 0, "mtime_ns": 0}
    return {**record, **stamp_of(worker.job), "error": reason}
