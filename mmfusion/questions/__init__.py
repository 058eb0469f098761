"""Questions about clips: their file format, writers, and what keeps answers out."""

from mmfusion.questions.generic import (
    GENERIC_NOUN_QUESTION,
    GENERIC_VERB_QUESTION,
    generic_record,
)
from mmfusion.questions.records import (
    MASK,
    ORACLE_SOURCES,
    SOURCES,
    QuestionFileError,
    QuestionRecord,
    load_questions,
    write_questions,
)

__all__ = [
    "GENERIC_NOUN_QUESTION",
    "GENERIC_VERB_QUESTION",
    "MASK",
    "ORACLE_SOURCES",
    "SOURCES",
    "QuestionFileError",
    "QuestionRecord",
    "generic_record",
    "load_questions",
    "write_questions",
]
