"""Packets of H.264 that can be left out without a change to any other picture.

A picture that no other one is made from says so in the header of its units (H.264,
7.4.1: nal_ref_idc is 0). Encoders write such B-frames between the others: with x264's
defaults every second picture of a film, a quarter to a third of the time of decoding.
"""

import av

_SLICE, _SEI, _DELIMITER = 1, 6, 9  # of nal_unit_type; a keyframe's slices have another
_NEEDED = 0x60  # bits of nal_ref_idc


def is_spare(packet: "av.Packet", length_size: int) -> bool:
    """True if nothing but pictures that no other one needs lies in a packet.

    Args:
        packet: of a file whose units begin with their length.
        length_size: bytes of that length; 0: another codec, of which nothing is known.
    """
    if not length_size:
        return False
    content = memoryview(packet)
    place, end, slices = 0, len(content), 0
    while place + length_size < end:
        size = int.from_bytes(content[place : place + length_size], "big")
        place += length_size
        head = content[place]
        kind = head & 0x1F
        if kind == _SLICE and not head & _NEEDED:
            slices += 1
        elif kind not in (_SEI, _DELIMITER):
            return False
        place += size
    return slices > 0 and place == end
