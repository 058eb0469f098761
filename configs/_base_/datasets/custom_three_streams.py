"""Clips of one's own with a question: the same for every clip, unless a file has more.

``questions="generic"`` asks "What is the person doing?". Files of one's own questions:
tools/questions/README.md. The tokenizer is a folder, or a name on the hub that is
fetched once: ``hf download FacebookAI/roberta-base --include "*.json" "*.txt"``.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import PackInputs, TokenizeQuestions

with read_base():
    from .custom import *

_tokenize = dict(
    type=TokenizeQuestions,
    tokenizer="FacebookAI/roberta-base",
    max_length=24,
    question_tasks=("verb",),
)
_pack = dict(type=PackInputs, streams=("video", "skeleton", "text"))
train_pipeline = [*train_pipeline[:-1], _tokenize, _pack]
test_pipeline = [*test_pipeline[:-1], _tokenize, _pack]
train_dataloader.dataset.update(questions="generic", pipeline=train_pipeline)
val_dataloader.dataset.update(questions="generic", pipeline=test_pipeline)
test_dataloader.dataset.update(questions="generic", pipeline=test_pipeline)
