"""One fixed question per head: what is asked when nothing about the clip is known.

The default at test time (``source = "generic"``): every clip gets the same words, so
they cannot tell its label. No word of them is an instance of an EPIC-KITCHENS class.
"""

from mmfusion.questions.records import QuestionRecord

GENERIC = "generic"  # their source, and in place of a file: for every clip
GENERIC_VERB_QUESTION = "What is the person doing?"
GENERIC_NOUN_QUESTION = "Which object is the person interacting with?"
GENERIC_MODEL = "fixed"


def generic_record(narration_id: str) -> QuestionRecord:
    """The two generic questions for one clip."""
    return QuestionRecord(
        narration_id=narration_id,
        source=GENERIC,
        verb_question=GENERIC_VERB_QUESTION,
        verb_answer=None,
        noun_question=GENERIC_NOUN_QUESTION,
        noun_answer=None,
        model=GENERIC_MODEL,
        prompt_sha256=None,
    )
