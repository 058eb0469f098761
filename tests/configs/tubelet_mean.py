"""A backbone of a user: neither arch nor num_frames nor img_size, as in the README."""

import torch
from mmengine.model import BaseModule

from mmfusion.structures import TokenFeatures


class TubeletMean(BaseModule):
    def __init__(self, embed_dims=64, patch=16):
        super().__init__()
        self.embed_dims = embed_dims
        size = (2, patch, patch)
        self.embed = torch.nn.Conv3d(3, embed_dims, size, stride=size)

    def forward(self, x, mask=None):
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        return TokenFeatures(torch.nn.functional.gelu(tokens))
