"""Names of video files, and the videos of a folder."""

import os
from pathlib import Path

_SUFFIXES = (  # the last line: raw streams, which are refused with the remedy
    ".mp4 .webm .mkv .avi .mov .m4v .mpg .mpeg .flv .3gp .ts .wmv .3g2 .mj2 .mts .m2ts"
    " .vob .ogv .asf .mxf .nut .gif .qt .f4v .divx .mpe"
    " .h264 .264 .avc .hevc .h265 .265 .m1v .m2v .mpv"
)
VIDEO_SUFFIXES = tuple(_SUFFIXES.split())


def find_videos(folder: str | os.PathLike) -> list[Path]:
    """Videos in a folder and the folders in it, by their suffix, in order of names.

    Hidden files and folders are passed over, and links to folders not followed.

    Raises:
        OSError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    found = []
    for place, folders, names in os.walk(os.fspath(folder), onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(place, name)
            for name in names
            if Path(name).suffix.lower() in VIDEO_SUFFIXES and name[0] != "."
        ]
    return sorted(found)
