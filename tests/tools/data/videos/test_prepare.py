import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.spare_packets import is_spare
from mmfusion.datasets.media.video_chunks import ChunkedVideo
from mmfusion.datasets.media.video_encoding import EncodeSettings, segments_of
from mmfusion.datasets.media.video_index import open_container
from mmfusion.datasets.media.video_io import open_video
from mmfusion.datasets.media.video_preparation import Job, OutputFolder, process, run_jobs
from tests.video_files import number_of, set_rotation, write_video
from tools.data.videos import prepare


def command(*arguments: object) -> list[str]:
    return [
        sys.executable,
        prepare.__file__,
        *map(str, arguments),
        "--preset",
        "ultrafast",
    ]


class Result(NamedTuple):
    """Result of a command."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capsys) -> Callable[..., Result]:
    """The command, in this process."""

    def call(*arguments: object) -> Result:
        code = prepare.main(command(*arguments)[2:])
        return Result(code, *capsys.readouterr())

    return call


def job(source: Path, target: Path) -> Job:
    return Job(source.name, str(source), str(target))


def files(out: Path) -> dict[str, tuple[int, int]]:
    """Name -> inode and time: both change when a file is written again."""
    found = {path: path.stat() for path in out.glob("*.mp4")}
    return {path.name: (s.st_ino, s.st_mtime_ns) for path, s in found.items()}


def test_frames_times_size_and_keyframes(tmp_path):
    stamps = [0, 10, 15, 40, 50, 60, 75, 80, 90, 100]  # 1/100 s, not regular
    source = write_video(tmp_path / "a.mp4", 10, stamps=stamps, size=(192, 128))
    settings = EncodeSettings(short_side=64, keyframe_interval=4, preset="ultrafast")
    record = process(job(source, tmp_path / "o.mp4"), settings)
    assert record["error"] is None and record["encoded"] == 1
    index = read_index(tmp_path / "o.mp4")
    np.testing.assert_allclose(index.times, np.array(stamps) / 100, atol=1e-4)
    assert index.size == (64, 96) and index.closed
    assert np.diff([*index.keyframes, 10]).max() <= 4
    for backend in ("pyav", "decord"):
        frames = open_video(tmp_path / "o.mp4", backend).frames_at_index(range(10))
        assert [number_of(frame) for frame in frames] == list(range(10))


def test_most_pictures_need_not_be_decoded(tmp_path):
    pattern = np.random.default_rng(0).integers(0, 256, (32, 122, 3), np.uint8)
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width = stream.height = 32
        for place in range(45):
            picture = np.ascontiguousarray(pattern[:, 2 * place : 2 * place + 32])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        out.mux(stream.encode())
    process(job(tmp_path / "a.mp4", tmp_path / "o"), EncodeSettings())
    index = read_index(tmp_path / "o")
    with open_container(index.path) as container:
        needed = [
            int(np.searchsorted(index.pts, packet.pts))
            for packet in container.demux(video=0)
            if packet.size and not is_spare(packet, index.nal_length_size)
        ]
    # two of three are left out, but where a scene changes
    assert len(needed) < 25 and np.diff(sorted(needed)).max() == 3


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_rotation_is_gone_and_the_picture_upright(tmp_path, angle):
    source = set_rotation(write_video(tmp_path / "a.mp4", 3), angle)
    before = open_video(source, "pyav")
    process(job(source, tmp_path / "o.mp4"), EncodeSettings(crf=5))
    after = open_video(tmp_path / "o.mp4", "pyav")
    assert not str(read_index(tmp_path / "o.mp4").display)
    assert (after.height, after.width) == (before.height, before.width)
    pictures = [video.frames_at_index(range(3)) for video in (before, after)]
    for old, new in zip(*pictures, strict=True):
        assert np.abs(old.astype(int) - new).mean() < 3


def test_chunks_at_another_rate_are_read_as_avions(tmp_path, run):
    source = write_video(tmp_path / "P01_01.MP4", 25)  # 2.5 s at 10 fps
    out = tmp_path / "chunks"
    args = ["--chunk-seconds", 1, "--fps", 30, "--short-side", 64]
    (tmp_path / "in" / "P01" / "videos").mkdir(parents=True)
    shutil.move(source, tmp_path / "in" / "P01" / "videos" / "P01_01.MP4")
    assert run(tmp_path / "in", "--out", out, *args).returncode == 0
    folder = out / "P01" / "P01_01.MP4"
    assert sorted(p.name for p in folder.iterdir()) == ["0.MP4", "1.MP4", "2.MP4"]
    counts = [len(read_index(folder / f"{n}.MP4").times) for n in range(3)]
    assert counts == [30, 30, 15]
    seconds = np.array([0.0, 0.55, 0.99, 1.0, 1.75, 2.45])
    frames = ChunkedVideo(str(folder), 1.0, "pyav").frames_at(seconds)
    assert [number_of(frame) for frame in frames] == [0, 5, 9, 10, 17, 24]


def test_a_chunk_begins_with_what_is_shown_at_its_second(tmp_path):
    source = write_video(tmp_path / "a.mp4", 4, stamps=[0, 70, 130, 260])
    first, second, third = segments_of(
        read_index(source), EncodeSettings(chunk_seconds=1)
    )[:3]
    assert first.numbers.tolist() == [0, 1]
    assert second.numbers.tolist() == [1, 2]
    np.testing.assert_allclose(second.seconds, [0, 0.3], atol=1e-6)
    assert third.numbers.tolist() == [2, 3]


def test_broken_videos_are_listed_and_the_rest_is_done(tmp_path, shared_data, run):
    folder = tmp_path / "in"
    folder.mkdir()
    write_video(folder / "good.mp4", 3)
    (folder / "empty.webm").touch()
    (folder / "text.mkv").write_text("no video")
    shutil.copy(shared_data / "videos" / "decord" / "corrupted.mp4", folder)
    out = tmp_path / "out"
    for mode, told in (("--dry-run", "2 broken"), ("--check", "3 broken")):
        looked = run(folder, "--out", out, mode)
        assert looked.returncode == 1 and told in looked.stdout
        assert not out.exists()
    made = run(folder, "--out", out)
    assert made.returncode == 1 and "3 broken" in made.stdout, made.stderr
    assert [*files(out)] == ["good.mp4"]
    lines = (out / "report.csv").read_text().splitlines()
    rows = {row["name"]: row for row in csv.DictReader(lines)}
    assert "after 28 frames" in rows["corrupted.mp4"]["error"]
    assert "empty" in rows["empty.webm"]["error"] and rows["good.mp4"]["error"] == ""
    stopped = run(folder, "--out", tmp_path / "other", "--max-bad", 0)
    assert stopped.returncode == 2 and "--max-bad" in stopped.stderr


@pytest.mark.slow
def test_killed_in_the_middle_nothing_is_done_twice_or_half(tmp_path, run):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(30):
        suffix, codec = (("webm", "libvpx"), ("mp4", "libx264"))[number % 2]
        write_video(folder / f"{number:02d}.{suffix}", 10, codec=codec)
    (folder / "30.mp4").write_bytes((folder / "01.mp4").read_bytes()[:900])
    arguments = [folder, "--out", out, "--short-side", 64, "--workers", 2]
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL)
    while not out.exists() or len(files(out)) < 8:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.5)  # the workers see it
    before = files(out)
    with (out / "manifest.jsonl").open("ab") as manifest:
        manifest.write(b'{"name": "0')  # a line cut off
    assert run(*arguments).returncode == 1  # the truncated one
    after = files(out)
    assert len(after) == 30 and not list(out.glob(".*.tmp"))
    assert {name: after[name] for name in before} == before
    lines = (out / "manifest.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert len({r["name"] for r in records}) == len(records) == 31
    assert sum(r.get("encoded", 0) + r.get("adopted", 0) for r in records) == 30
    assert run(*arguments).returncode == 1 and files(out) == after
    assert run(*arguments, "--verify").returncode == 0


def test_a_changed_source_a_lost_and_a_damaged_output(tmp_path, run):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in "abc":
        write_video(folder / f"{name}.mp4", 5)
    arguments = [folder, "--out", out, "--workers", 1]
    assert run(*arguments).returncode == 0
    before = files(out)
    write_video(folder / "a.mp4", 6)
    (out / "b.mp4").unlink()
    assert "files written now: 2" in run(*arguments).stdout
    assert files(out)["c.mp4"] == before["c.mp4"]
    data = (out / "c.mp4").read_bytes()
    (out / "c.mp4").write_bytes(data[:-1] + b"!")
    damaged = run(*arguments, "--verify")
    assert damaged.returncode == 1 and "c.mp4: other bytes" in damaged.stdout
    other = run(*arguments, "--short-side", 64)
    assert other.returncode == 2 and "short_side 256 -> 64" in other.stderr


def test_what_lists_and_folders_may_hold(tmp_path, run):
    folder = tmp_path / "in"
    folder.mkdir()
    write_video(folder / "a b.mp4", 3)
    listed = tmp_path / "list.csv"
    listed.write_text("a b.mp4 17\n")
    out = tmp_path / "out"
    assert run(listed, "--root", folder, "--out", out).returncode == 0
    assert [*files(out)] == ["a b.mp4"]
    listed.write_text("../x.mp4 3\n")
    refused = run(listed, "--root", folder, "--out", out)
    assert refused.returncode == 2 and "list.csv:1" in refused.stderr
    shutil.copy(folder / "a b.mp4", folder / "a b.mkv")
    clash = run(folder, "--out", out)
    assert clash.returncode == 2 and "would both be written" in clash.stderr


def test_one_run_at_a_time(tmp_path):
    first = OutputFolder(tmp_path, EncodeSettings())
    with pytest.raises(BlockingIOError, match="another run"):
        OutputFolder(tmp_path, EncodeSettings())
    first.close()
    OutputFolder(tmp_path, EncodeSettings()).close()


def test_a_decoder_that_hangs_costs_one_video(tmp_path):
    slow = write_video(tmp_path / "slow.mp4", 58, size=(640, 480))
    one = job(slow, tmp_path / "slow_out.mp4")
    settings = EncodeSettings(preset="placebo")
    (record,) = run_jobs([one], settings, timeout=0.2)
    assert "longer than 0.2 s" in record["error"]
    (pipe,) = run_jobs([job(fifo(tmp_path), tmp_path / "p.mp4")], settings)
    assert "regular file" in pipe["error"]  # opening it would wait for ever


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def test_nothing_is_passed_over_without_a_word(tmp_path, run):
    folder = tmp_path / "in"
    for name in ("a.mp4", "b.M2TS", "c.h264"):
        (folder / "sub").mkdir(parents=True, exist_ok=True)
        codec = {"c.h264": "libx264"}.get(name, "libx264")
        source = write_video(tmp_path / f"v.{name[2:].lower()}", 3, codec=codec)
        shutil.move(source, folder / name)
    for name in ("sub/list.txt", "sub/notes.TXT", "noise", ".hidden.mp4"):
        (folder / name).touch()
    (folder / "linked").symlink_to(tmp_path)
    out = tmp_path / "out"
    made = run(folder, "--out", out)
    assert made.returncode == 1  # the raw stream
    assert sorted(files(out)) == ["a.mp4", "b.mp4"]
    assert "c.h264" in made.stdout and "-framerate FPS" in made.stdout
    line = next(one for one in made.stdout.splitlines() if "passed over" in one)
    for told in ("2 *.txt", "1 hidden", "1 links to folders", "1 no suffix"):
        assert told in line
    report = json.loads((out / "report.json").read_text())
    assert report["passed_over"]["*.txt"] == 2
    listed = tmp_path / "list.csv"
    listed.write_text("a.mp4 1\na.mp4 2\n")
    again = run(listed, "--root", folder, "--out", tmp_path / "out2")
    assert "1 lines that name a video again" in again.stdout


def test_outputs_of_an_earlier_form_are_not_taken_over(tmp_path: Path) -> None:
    settings = EncodeSettings()
    OutputFolder(tmp_path / "out", settings).close()
    OutputFolder(tmp_path / "out", settings).close()
    file = tmp_path / "out" / "settings.json"
    found = json.loads(file.read_text())
    assert found.pop("format") == 3
    file.write_text(json.dumps(found))
    with pytest.raises(ValueError, match="format None -> 3.*; give another --out"):
        OutputFolder(tmp_path / "out", settings)
