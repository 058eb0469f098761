"""Text encoders: token ids in, token features out."""

from mmfusion.models.text_encoders.text_encoder import TextEncoder

__all__ = ["TextEncoder"]
