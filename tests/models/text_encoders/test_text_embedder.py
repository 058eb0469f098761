import pytest
import torch

from mmfusion.models import HashedWords, TextEmbedder, TextEncoder

TEXTS = ["cut the onion", "wash"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny encoder and its tokenizer, as save_pretrained writes them."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "cut", "the", "onion", "wash"]
    tokenizer = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(path)
    config = BertConfig(
        vocab_size=6,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
    )
    BertModel(config).save_pretrained(path)
    return str(path)


def test_mean_over_the_words_of_each_text(folder):
    embeddings = TextEmbedder(folder)(TEXTS)
    encoder = TextEncoder(folder, summary="mean").eval()
    encoder.init_weights()
    for row, ids in zip(embeddings, ([2, 3, 4], [5]), strict=True):
        tokens = encoder(torch.tensor([[ids]])).tokens[0]
        torch.testing.assert_close(row, tokens.mean(0))
    assert not embeddings.requires_grad


def test_hashed_words_are_the_same_each_time_and_shared():
    cup, red_cup, cup_red = HashedWords(256)(["cup", "red cup", "cup red"])
    assert torch.equal(red_cup, cup_red)
    assert torch.equal(HashedWords(256)(["cup"])[0], cup)
    near = torch.nn.functional.cosine_similarity(cup, red_cup, dim=0)
    far = torch.nn.functional.cosine_similarity(cup, red_cup - cup, dim=0)
    assert near > 0.5 and far.abs() < 0.3
