"""A small tokenizer of RoBERTa's kind, trained on the sentences that it will read."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from mmfusion.utils.optional import import_optional
from mmfusion.utils.paths import write_atomic

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # RoBERTa's numbers 0 to 3; the mask is 4


def train_tokenizer(
    folder: str | os.PathLike, sentences: Iterable[str], vocab_size: int = 800
) -> None:
    """Train a small tokenizer of RoBERTa's kind, for data that is made here.

    The same sentences, in any order, give the same files; `transformers` reads them.

    Args:
        folder: gets ``tokenizer.json`` and ``tokenizer_config.json``.
        sentences: what to learn byte pairs from.
        vocab_size: at most so many tokens, the 256 bytes and five special ones too.
    """
    library = import_optional("tokenizers", "tokenizers that are trained here")
    byte_level = library.pre_tokenizers.ByteLevel
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = byte_level(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    # the mask eats the blank before it, as RoBERTa's does
    mask = library.AddedToken("<mask>", lstrip=True, special=True)
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[*_SPECIAL, mask],
        initial_alphabet=byte_level.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(set(sentences)), trainer)
    tokenizer.post_processor = library.processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0)
    )
    config = {
        "tokenizer_class": "RobertaTokenizerFast",
        "model_max_length": 512,
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    learned = tokenizer.to_str(pretty=True)
    write_atomic(Path(folder) / "tokenizer.json", learned.encode())
    text = json.dumps(config, indent=1) + "\n"
    write_atomic(Path(folder) / "tokenizer_config.json", text.encode())
