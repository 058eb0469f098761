"""A short run of the streaming benchmark."""

import json

import pytest

from tests.tools.command import run_tool


@pytest.mark.slow
def test_streams_are_the_clip_and_memory_stays(tmp_path):
    out = tmp_path / "streaming.json"
    sizes = ("--check", 60, "--frames", 40, "--size", 32)
    done = run_tool("benchmarks/streaming", *sizes, "--out", out)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["check"]["of one clip"] <= 1e-5 < found["check"]["scores vary by"]
    assert len(found["long"]) == 10
