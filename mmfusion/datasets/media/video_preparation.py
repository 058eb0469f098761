"""Preparation of a folder of videos: encoded in processes, kept in a manifest.

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
import threading
import traceback
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from mmfusion.datasets.conversion import clear_temporaries
from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.video_encoding import (
    Encoder,
    EncodeSettings,
    read_comment,
    segments_of,
)
from mmfusion.datasets.media.video_index import VideoIndex, decode_all
from mmfusion.utils.errors import InputError, MediaError, MMFusionError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import decode_json, read_bytes, read_json

MANIFEST, SETTINGS, LOCK = "manifest.jsonl", "settings.json", ".lock"
_FORMAT = 3  # of the outputs: three pictures of five need not be decoded
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

    exit_code = 1


def stamp_of(job: Job) -> dict[str, Any]:
    """Name, bytes and time of change, by which a changed source is known."""
    stat = os.stat(job.source)
    return {"name": job.name, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def process(job: Job, settings: EncodeSettings, mode: str = "prepare") -> Record:
    """Prepare one video, or only decode it (``check``) or open it (``look``).

    Outputs that are whole already are taken over. A broken video leaves none.

    Returns:
        Its line of the manifest: name, bytes, mtime_ns, error (None or the reason),
        and of a good one its frames, seconds, size, display, codec order and outputs.

    Raises:
        OutputError: the disk is full, or the like.
    """
    record: Record = {"name": job.name, "bytes": 0, "mtime_ns": 0}
    try:
        stamp = stamp_of(job)
        record |= stamp
        index = read_index(job.source)
        record |= {
            "frames": len(index.times),
            "seconds": round(index.duration, 6),
            "fps": round(len(index.times) / index.duration, 3),
            "height": index.size[0],
            "width": index.size[1],
            "display": str(index.display),
            "closed": index.closed,
        }
        if mode == "check":
            for _ in decode_all(index):
                pass
        elif mode == "prepare":
            record |= _encode(job, index, settings, stamp)
    except (MediaError, OSError) as error:
        if mode == "prepare":
            _remove_outputs(job)
        return {**record, "error": getattr(error, "reason", None) or str(error)}
    return {**record, "error": None}


def _encode(job: Job, index: VideoIndex, settings: EncodeSettings, stamp: dict) -> dict:
    """Write what is missing of a video's outputs: their names, bytes and checksums."""
    encoder, outputs, encoded = Encoder(index, settings), [], 0
    chunks = settings.chunk_seconds is not None
    for segment in segments_of(index, settings):
        path = Path(job.target)
        if chunks:
            path /= f"{segment.start:g}.MP4"
        comment = {**stamp, "start": segment.start, "settings": settings.digest()}
        if read_comment(str(path)) == comment:
            data = path.read_bytes()
        else:
            data = encoder.encode(segment, json.dumps(comment))
            encoded += 1
            if not chunks:
                encoder.finish()
            try:
                write_atomic(path, data, sweep=False)
            except OSError as error:
                raise OutputError(f"{path}: {error}") from error
        outputs.append(_output(path, data))
    if chunks:
        if encoded:
            encoder.finish()
        _remove_outputs(job, keep={output["file"] for output in outputs})
    return {"outputs": outputs, "encoded": encoded, "adopted": len(outputs) - encoded}


def _output(path: Path, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {"file": str(path), "bytes": len(data), "sha256": digest}


def _remove_outputs(job: Job, keep: Collection[str] = ()) -> None:
    """Remove outputs of a video that is broken, or shorter than it was."""
    target = Path(job.target)
    for path in target.glob("*.MP4") if target.is_dir() else [target]:
        made_of = read_comment(str(path)) or {}
        if str(path) not in keep and made_of.get("name") == job.name:
            path.unlink()


def _check_record(record: Any) -> None:
    """Refuse a line of a manifest that :func:`process` does not make."""
    if not isinstance(record, dict):
        raise InputError(f"it is {shown(record)}")
    kinds = {"name": str, "bytes": int, "mtime_ns": int, "outputs": list}
    for key, kind in kinds.items():
        if type(record.get(key)) is not kind:
            raise InputError(f"{key} is {shown(record.get(key))}")
    if not isinstance(record.get("error", 0), str | None):
        raise InputError(f"error is {shown(record.get('error', 'missing'))}")
    for output in record["outputs"]:
        kinds = {"file": str, "bytes": int, "sha256": str}
        found = {k: type(v) for k, v in output.items()} if type(output) is dict else {}
        if found != kinds:
            raise InputError(f"an output is {shown(output)}")


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
        with ExitStack() as opened:
            lock = opened.enter_context(open(path / LOCK, "a"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BlockingIOError(f"another run writes into {path}") from error
            self._check_settings()
            self.records = self._read()
            self._file = opened.enter_context(open(path / MANIFEST, "ab"))
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Let another run in."""
        self._opened.close()

    def _check_settings(self) -> None:
        file, now = self.path / SETTINGS, {**asdict(self.settings), "format": _FORMAT}
        if not file.exists():
            write_atomic(file, (json.dumps(now, indent=1) + "\n").encode())
            return
        before = read_json(file, error_type=InputError)
        if not isinstance(before, dict):
            raise InputError(f"{file} holds no settings; give another --out")
        changed = [
            f"{key} {before.get(key)} -> {value}"
            for key, value in now.items()
            if before.get(key) != value
        ]
        if changed:
            same_format = before.get("format") == _FORMAT
            raise InputError(
                f"{self.path} was prepared with other settings ({', '.join(changed)});"
                f" give {'them again, or ' if same_format else ''}another --out"
            )

    def _read(self) -> dict[str, Record]:
        """Last record of every source; a line that a kill cut off is removed."""
        file = self.path / MANIFEST
        file.touch()
        data = read_bytes(file, error_type=InputError)
        whole = data.rfind(b"\n") + 1
        records = {}
        for number, line in enumerate(data[:whole].split(b"\n"), 1):
            if not line.strip():
                continue
            try:
                record = decode_json(line)
                _check_record(record)
                records[record["name"]] = record
            except InputError as error:
                raise InputError(
                    f"{file}:{number} is no record of a video ({error}); delete that"
                    " line: outputs that are there are taken over"
                ) from error
        os.truncate(file, whole)
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
        """Jobs that are new, changed, or lack an output; with ``retry``, broken too."""
        return [job for job in jobs if not self._is_done(job, retry)]

    def _is_done(self, job: Job, retry: bool) -> bool:
        record = self.records.get(job.name)
        if record is None or (record["error"] is not None and retry):
            return False
        try:
            if any(record[key] != value for key, value in stamp_of(job).items()):
                return False
            return all(
                os.stat(self.path / output["file"]).st_size == output["bytes"]
                for output in record["outputs"]
            )
        except OSError:  # the source or an output is gone
            return record["error"] is not None

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
        targets = {Path(job.target) for job in jobs}
        if self.settings.chunk_seconds is None:
            targets = {target.parent for target in targets}
        for folder in targets:
            clear_temporaries(folder)


def _serve(pipe: Connection, job: Job, settings: EncodeSettings, mode: str) -> None:
    """Run one job in a process of its own, which dies with its parent."""

    def listen() -> None:
        try:
            pipe.recv()
        except (EOFError, OSError):
            os._exit(1)  # the parent was killed: another run may begin now

    threading.Thread(target=listen, daemon=True).start()
    try:
        pipe.send(process(job, settings, mode))
    except OutputError as error:
        pipe.send(error)
    except BaseException:
        pipe.send(RuntimeError(f"{job.source}:\n{traceback.format_exc()}"))


class _Supervisor:
    """Runs each job in a process: a decoder that crashes or hangs costs one video."""

    def __init__(self, settings: EncodeSettings, mode: str, timeout: float) -> None:
        self._settings, self._mode, self._timeout = settings, mode, timeout
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._lock, self._stopped = threading.Lock(), False
        self._running: set[BaseProcess] = set()

    def stop(self) -> None:
        """Kill what runs, and begin nothing more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def run(self, job: Job) -> Record | Exception:
        """Record of a job, or the error that ends the run."""
        pipe, end = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(end, job, self._settings, self._mode), daemon=True
        )
        with self._lock:
            if self._stopped:
                return InterruptedError("the run was stopped")
            process.start()
            self._running.add(process)
        end.close()
        try:
            if pipe.poll(self._timeout):
                return pipe.recv()
            reason = f"it took longer than {self._timeout:g} s"
        except EOFError:
            process.join()
            reason = f"its process died (exit code {process.exitcode})"
        finally:
            process.kill()
            process.join()
            pipe.close()
            with self._lock:
                self._running.discard(process)
        if self._mode == "prepare" and not self._stopped:
            _remove_outputs(job)
        return {**stamp_of(job), "error": reason}


def run_jobs(
    jobs: Sequence[Job],
    settings: EncodeSettings,
    *,
    mode: str = "prepare",
    num_workers: int = 1,
    timeout: float = 3600.0,
) -> Iterator[Record]:
    """:func:`process` of every job, in the order in which they end.

    At most ``num_workers`` at a time, each for at most ``timeout`` seconds.

    Raises:
        OutputError: an output cannot be written.
        RuntimeError: a worker met an error of our own; the text has its traceback.
    """
    supervisor = _Supervisor(settings, mode, timeout)
    pool = ThreadPoolExecutor(num_workers)
    try:
        for future in as_completed([pool.submit(supervisor.run, job) for job in jobs]):
            result = future.result()
            if isinstance(result, Exception):
                raise result
            yield result
    finally:
        supervisor.stop()
        pool.shutdown(cancel_futures=True)
