"""Borders that a container hides: ``clap`` in MP4 and QuickTime, PixelCrop in Matroska.

FFmpeg's own tool cuts them, its library and PyAV do not say them.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

Crop = tuple[int, int, int, int]
Span = tuple[int, int]  # first byte and the one after the last

NO_CROP: Crop = (0, 0, 0, 0)
_MP4, _MATROSKA = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"  # FFmpeg's names
_MAX_ELEMENTS = 100_000  # of one level
_MAX_VALUE = 8  # bytes of a number in Matroska
_SAMPLE_ENTRY = 8 + 78  # bytes of a video's, before the boxes in it
_TRACKS, _TRACK, _TYPE, _VIDEO = 0x1654AE6B, 0xAE, 0x83, 0xE0
_SEGMENT = 0x18538067
_CROPS = (0x54BB, 0x54AA, 0x54CC, 0x54DD)  # PixelCropTop, Bottom, Left, Right


def read_crop(
    path: str, format_name: str, *, track: int, order: int, size: tuple[int, int]
) -> Crop:
    """Hidden pixels at the top, bottom, left and right of a video's stored picture.

    Args:
        path: of the file. format_name: FFmpeg's, of the container.
        track: id of the video's track (MP4). order: its place among the video tracks
            (Matroska).
        size: (height, width) of the stored picture.

    Returns:
        Zeros where nothing is said, or what cannot be.
    """
    if format_name not in (_MP4, _MATROSKA):
        return NO_CROP
    with open(path, "rb") as file:
        whole = (0, os.fstat(file.fileno()).st_size)
        try:
            if format_name == _MP4:
                crop = _mp4_crop(file, whole, track, size)
            else:
                crop = _matroska_crop(file, whole, order)
        except (struct.error, ZeroDivisionError, IndexError, OverflowError):
            return NO_CROP  # broken off in the middle: decoding says so
    top, bottom, left, right = crop
    possible = top + bottom < size[0] and left + right < size[1] and min(crop) >= 0
    return crop if possible else NO_CROP


def _boxes(file: BinaryIO, span: Span) -> Iterator[tuple[bytes, Span]]:
    """Type and content of the boxes of an MP4 in a span of bytes."""
    place, end = span
    for _ in range(_MAX_ELEMENTS):
        if place + 8 > end:
            return
        file.seek(place)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            head, (size,) = 16, struct.unpack(">Q", file.read(8))
        stop = min(end, place + size) if size else end
        if size and size < head:
            return
        yield kind, (place + head, stop)
        place = stop


def _inside(file: BinaryIO, span: Span, *path: bytes) -> Iterator[Span]:
    """Contents of the boxes at a path of types, as ``b"mdia", b"minf"``."""
    for kind, content in _boxes(file, span):
        if kind == path[0]:
            yield from _inside(file, content, *path[1:]) if path[1:] else [content]


def _mp4_crop(file: BinaryIO, whole: Span, track: int, size: tuple[int, int]) -> Crop:
    for trak in _inside(file, whole, b"moov", b"trak"):
        for start, _ in _inside(file, trak, b"tkhd"):
            file.seek(start)
            wide = file.read(1) == b"\1"  # version 1 has times of 8 bytes
            file.seek(start + (20 if wide else 12))
            if struct.unpack(">I", file.read(4))[0] != track:
                break
        else:
            for start, end in _inside(file, trak, b"mdia", b"minf", b"stbl", b"stsd"):
                for _, entry in _boxes(file, (start + 8, end)):
                    inner = (entry[0] - 8 + _SAMPLE_ENTRY, entry[1])
                    for place, _ in _inside(file, inner, b"clap"):
                        file.seek(place)
                        return _aperture(file.read(32), size)
    return NO_CROP


def _aperture(content: bytes, size: tuple[int, int]) -> Crop:
    """Crop by a ``clap``: sides and the shift of the centre, as eight numbers."""
    values = struct.unpack(">4I i I i I", content)
    width, height, right, down = (
        above / below for above, below in zip(values[::2], values[1::2], strict=True)
    )
    left = round((size[1] - width) / 2 + right)
    top = round((size[0] - height) / 2 + down)
    return (
        top,
        size[0] - top - round(height),
        left,
        size[1] - left - round(width),
    )


def _elements(file: BinaryIO, span: Span) -> Iterator[tuple[int, Span]]:
    """Id and content of the elements of a Matroska file in a span of bytes."""
    place, end = span
    for _ in range(_MAX_ELEMENTS):
        if place >= end:
            return
        file.seek(place)
        head = file.read(16)
        id_bytes = 9 - head[0].bit_length()
        size_bytes = 9 - head[id_bytes].bit_length()
        if id_bytes > 4 or size_bytes > 8:
            return
        start = place + id_bytes + size_bytes
        unknown = (1 << 7 * size_bytes) - 1
        size = int.from_bytes(head[id_bytes : id_bytes + size_bytes], "big") & unknown
        stop = end if size == unknown else min(end, start + size)
        yield int.from_bytes(head[:id_bytes], "big"), (start, stop)
        place = stop


def _number(file: BinaryIO, span: Span) -> int:
    file.seek(span[0])
    return int.from_bytes(file.read(min(_MAX_VALUE, span[1] - span[0])), "big")


def _children(file: BinaryIO, span: Span, name: int) -> Iterator[Span]:
    for kind, content in _elements(file, span):
        if kind == name:
            yield content


def _matroska_crop(file: BinaryIO, whole: Span, order: int) -> Crop:
    videos = []
    for segment in _children(file, whole, _SEGMENT):
        for tracks in _children(file, segment, _TRACKS):
            for track in _children(file, tracks, _TRACK):
                parts = dict(_elements(file, track))
                if _TYPE in parts and _number(file, parts[_TYPE]) == 1:
                    found = dict(_elements(file, parts.get(_VIDEO, (0, 0))))
                    crop = [_number(file, found.get(key, (0, 0))) for key in _CROPS]
                    videos.append(crop)
            top, bottom, left, right = videos[order]  # before all the pictures
            return top, bottom, left, right
    return NO_CROP
