"""A tiny random model of this machine: it is loaded, asked, and says nothing useful."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmfusion.questions.cache import AnswerCache
from mmfusion.questions.clips import Clip
from mmfusion.questions.generation import Generation
from mmfusion.questions.masking import Masker
from mmfusion.questions.writers import (
    HuggingFaceBackend,
    NoAnswerError,
    PromptedWriter,
    Prompts,
    WriterDownError,
)

transformers = pytest.importorskip("transformers")
pytest.importorskip("simplemma")
ASKED = [{"role": "user", "content": "What does the person do with the plate?"}]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a random Llama of two layers and a tokenizer of bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("llama")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {char: i for i, char in enumerate(["<pad>", "</s>", *alphabet])}
    inner = Tokenizer(models.BPE(vocab=words, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>"
    ).save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=4096,
        pad_token_id=0,
        eos_token_id=1,
    )
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


def test_it_answers_the_same_at_first_and_by_chance_later(model: str) -> None:
    backend = HuggingFaceBackend(model, max_tokens=8, device="cpu")
    first = backend.complete(ASKED, None, 0)
    assert backend.complete(ASKED, None, 0) == first
    assert first.tokens_in == len(ASKED[0]["content"]) + len("\n\nAnswer:\n")
    assert 1 <= first.tokens_out <= 8
    later = [backend.complete(ASKED, None, attempt).text for attempt in range(1, 5)]
    assert backend.complete(ASKED, None, 1).text == later[0]
    assert len(set(later)) > 2


def test_what_it_says_is_listed_as_unusable(model: str) -> None:
    backend = HuggingFaceBackend(model, max_tokens=4, device="cpu")
    writer = PromptedWriter(backend, Prompts.read())
    with AnswerCache(":memory:") as cache:
        run = Generation(writer, Masker(), cache, num_attempts=2)
        outcome = run.run([Clip("a", "wash cup", "wash", "cup")])
    assert outcome.records == []
    assert outcome.rejects[0].attempts == 2
    assert writer.model == f"huggingface:{Path(model).name}"


def test_a_prompt_that_is_too_long_ends_the_run(model: str) -> None:
    backend = HuggingFaceBackend(model, max_tokens=4090, device="cpu")
    with pytest.raises(WriterDownError, match="the model reads 4096"):
        backend.complete(ASKED, None, 0)
    backend.stop()
    with pytest.raises(NoAnswerError, match="stopped"):
        backend.complete(ASKED, None, 0)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be loaded.*safetensors"):
        HuggingFaceBackend(str(tmp_path))


def test_prompts_are_files_with_a_hash(tmp_path: Path) -> None:
    ours = Prompts.read()
    for name, text in ours.texts.items():
        (tmp_path / name).write_text(text)
    assert Prompts.read(tmp_path) == ours
    (tmp_path / "repair.txt").write_text("Once more: $problem")
    assert Prompts.read(tmp_path).sha256 != ours.sha256
    (tmp_path / "repair.txt").write_text("Once more: $reason")
    with pytest.raises(ValueError, match="repair.txt: it has fields that are not"):
        Prompts.read(tmp_path)
    (tmp_path / "repair.txt").unlink()
    with pytest.raises(ValueError, match="repair.txt: no such prompt"):
        Prompts.read(tmp_path)


def test_a_chat_template_is_used_where_there_is_one(model: str) -> None:
    backend = HuggingFaceBackend(model, max_tokens=4, device="cpu")
    backend._tokenizer = SimpleNamespace(  # type: ignore[assignment]
        chat_template="x", apply_chat_template=lambda messages, **_: "[chat]"
    )
    assert backend._prompt(ASKED) == "[chat]"
