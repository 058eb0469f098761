"""Writers of questions: templates, an OpenAI-compatible server, a local model."""

from mmfusion.questions.writers.base import (
    Answer,
    NoAnswerError,
    Writer,
    WriterDownError,
)
from mmfusion.questions.writers.huggingface_backend import HuggingFaceBackend
from mmfusion.questions.writers.openai_backend import OpenAIBackend
from mmfusion.questions.writers.pacing import Pacer
from mmfusion.questions.writers.prompted import PromptedWriter, Prompts
from mmfusion.questions.writers.template import TemplateWriter

__all__ = [
    "Answer",
    "HuggingFaceBackend",
    "NoAnswerError",
    "OpenAIBackend",
    "Pacer",
    "PromptedWriter",
    "Prompts",
    "TemplateWriter",
    "Writer",
    "WriterDownError",
]
