"""A few of the damaged videos; and a wrong frame is noticed."""

import numpy as np
import pytest

from mmfusion.datasets.media.video_io import PyAVReader
from tests.campaigns.campaign import run_trials
from tests.campaigns.mutated_videos import content_of, read_as_decoded, trial


def test_frames_of_a_full_decode_or_our_error(tmp_path):
    counts = run_trials(trial, range(36, 1000, 110), tmp_path)
    assert not counts.broken, counts.broken
    assert len(counts.outcomes) > 2


@pytest.mark.parametrize("name", ["h264", "mpeg4 avi"])
def test_a_wrong_frame_is_noticed(tmp_path, monkeypatch, name):
    path = tmp_path / f"a.{'avi' if 'avi' in name else 'mp4'}"
    path.write_bytes(content_of(name))
    assert read_as_decoded(path, np.random.default_rng(0)).startswith("auto as decoded")
    read = PyAVReader._read

    def late(self, index):
        later = np.minimum(index + 1, self.num_frames - 1)
        found = read(self, np.unique(later))
        return {int(a): found[int(b)] for a, b in zip(index, later, strict=True)}

    monkeypatch.setattr(PyAVReader, "_read", late)
    with pytest.raises(AssertionError, match="auto: another frame"):
        read_as_decoded(path, np.random.default_rng(0))
