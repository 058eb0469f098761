"""Names in a batch: a stream, and beside it its mask.

``inputs[name]`` is (b, v, ...); ``inputs[name + MASK_SUFFIX]`` is bool, True where the
input is real, and is there where a stream has padding or gaps. The same holds in a
pipeline, without b: imgs, joints, boxes and tokens with imgs_mask, joints_mask,
boxes_mask and tokens_mask. Files keep the names of their own formats.
"""

MASK_SUFFIX = "_mask"
