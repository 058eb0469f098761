"""Frames are the same whether or not the pictures that nobody needs are decoded."""

import av
import numpy as np
import pytest

from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.spare_packets import is_spare
from mmfusion.datasets.media.video_index import decode_all
from mmfusion.datasets.media.video_io import open_video


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """40 frames of a moving pattern with B-frames."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    pattern = np.random.default_rng(0).integers(0, 256, (32, 120, 3), np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"g": "20", "bf": "3"})
        stream.width = stream.height = 32
        for i in range(40):
            picture = np.ascontiguousarray(pattern[:, 2 * i : 2 * i + 32])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        out.mux(stream.encode())
    return read_index(path)


def test_frames_are_those_of_a_full_decode(film):
    every = [frame.to_ndarray(format="rgb24") for _, frame in decode_all(film)]
    for numbers in ([39], [3, 4, 5], [0, 11, 25, 38], [7, 19, 20, 21]):
        for number, frame in zip(
            numbers, open_video(film.path).frames_at_index(numbers), strict=True
        ):
            assert np.array_equal(frame, every[number]), number


def test_packets_of_pictures_that_no_other_needs_are_known(film):
    with av.open(film.path) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    spare = [is_spare(packet, film.nal_length_size) for packet in packets]
    assert film.nal_length_size == 4 and 10 <= sum(spare) <= 30 and not spare[0]
    assert not any(is_spare(packet, 0) for packet in packets)
    chosen = bytes(packets[spare.index(True)])
    needed = bytes([*chosen[:4], chosen[4] | 0x20]) + chosen[5:]
    parameters = b"\0\0\0\1\7" + chosen
    for content in (needed, parameters, chosen[:-1], b""):
        assert not is_spare(av.Packet(content), 4)
