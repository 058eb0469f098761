"""MambaVL nano that answers in words: classes are scored by their names.

After training, ``model.heads["noun"].set_classes([...])`` names others.
"""

from mmengine.config import read_base

from mmfusion.models import AnswerHead, HashedWords

with read_base():
    from .mambavl_nano import *

_verbs = ["grab", "place", "open", "close", "pour", "press"]
_nouns = ["orange juice", "soup", "syrup", "soy sauce", "biscuit", "crisp"]
_nouns += ["cordial", "vinegar", "custard", "stock", "cereal", "cracker"]
_embedder = dict(type=HashedWords)
model.heads = dict(
    verb=dict(type=AnswerHead, class_names=_verbs, in_dims=64, embedder=_embedder),
    noun=dict(type=AnswerHead, class_names=_nouns, in_dims=64, embedder=_embedder),
)
