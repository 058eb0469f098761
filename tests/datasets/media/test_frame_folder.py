import numpy as np
import pytest

from mmfusion.datasets.media.video_io import open_frames
from mmfusion.utils.errors import FrameFolderError
from mmfusion.utils.paths import UnsafePathError
from tests.video_files import number_of, picture, write_frames

PNG = "img_{:05d}.png"


def numbers(reader, seconds):
    return [number_of(frame) for frame in reader.frames_at(np.asarray(seconds))]


def test_frames_by_time(tmp_path):
    folder = write_frames(tmp_path / "a", range(1, 7))
    reader = open_frames(folder, PNG, start_index=1, fps=10)
    assert reader.num_frames == 6
    # a frame is shown from its time on; beyond the end stands the last one
    assert numbers(reader, [0, 0.09, 0.1, 0.3, 0.59, 0.8]) == [1, 1, 2, 4, 6, 6]
    image = reader.frames_at_index([0])[0]
    np.testing.assert_array_equal(image, picture(1))


def test_sparse_ids_take_the_nearest(tmp_path):
    folder = write_frames(tmp_path / "a", [4, 8, 12, 16], "{:06d}.png")
    reader = open_frames(
        folder, "{:06d}.png", start_index=0, fps=120, frame_ids=[4, 8, 12, 16]
    )
    assert numbers(reader, np.array([4, 5, 7, 8, 11, 15.5]) / 120) == [
        *(4, 4, 8, 8, 12, 16)
    ]


def test_missing_folder_frame_and_zero_frames(tmp_path):
    with pytest.raises(FrameFolderError, match="none.*does not exist"):
        open_frames(tmp_path / "none", PNG)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FrameFolderError, match=r"0 frames; expected 'img_00001\.png'"):
        open_frames(tmp_path / "empty", PNG)
    folder = write_frames(tmp_path / "a", [1, 2, 4])
    reader = open_frames(folder, PNG, total_frames=4)
    with pytest.raises(FrameFolderError, match=r"img_00003\.png.*does not exist"):
        reader.frames_at_index([2])


def test_broken_image(tmp_path):
    folder = write_frames(tmp_path / "a", [1, 2])
    (folder / "img_00002.png").write_bytes(b"text")
    with pytest.raises(FrameFolderError, match=r"img_00002\.png.*readable image"):
        open_frames(folder, PNG).frames_at_index([1])


@pytest.mark.parametrize("template", ["../{:05d}.png", "{:05d}/a.png", "{name}.png"])
def test_template_stays_in_the_folder(tmp_path, template):
    with pytest.raises(ValueError, match="filename_tmpl"):
        open_frames(tmp_path, template)


def test_a_link_among_the_frames_stays_inside_the_roots(tmp_path):
    root, secret = tmp_path / "data", tmp_path / "secret"
    write_frames(secret, [2])
    folder = write_frames(root / "a", [1, 3])
    (folder / "img_00002.png").symlink_to(secret / "img_00002.png")
    (folder / "img_00004.png").symlink_to(folder / "img_00001.png")

    def read(number, roots):
        reader = open_frames(folder, PNG, roots=roots)
        return number_of(reader.frames_at_index([number])[0])

    with pytest.raises(UnsafePathError, match=r"img_00002\.png.*link_roots"):
        read(1, [str(root)])
    assert read(3, [str(root)]) == 1 and read(1, [str(root), str(secret)]) == 2
