"""MambaVL nano without its words: what questions add to."""

from mmengine.config import read_base

with read_base():
    from .mambavl_nano import *

model.encoders.pop("text")
model.neck.streams.pop("text")
