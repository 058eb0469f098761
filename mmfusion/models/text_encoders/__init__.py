"""Text encoders: token ids in, token features out; and one vector for a text."""

from mmfusion.models.text_encoders.text_embedder import HashedWords, TextEmbedder
from mmfusion.models.text_encoders.text_encoder import TextEncoder

__all__ = ["HashedWords", "TextEmbedder", "TextEncoder"]
