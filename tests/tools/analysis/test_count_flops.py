import json

import pytest

from tests.tools.command import main_of

main = main_of("analysis/count_flops")

CONFIG = """
model = dict(
    type='MultiModalRecognizer',
    encoders=dict(
        video=dict(type='CLIPViT', arch='nano', img_size=32, num_frames=2),
        text=dict(type='TextEncoder', pretrained=None, mode='embeddings',
                  hf_config=dict(model_type='roberta', hidden_size=64, vocab_size=9,
                                 num_hidden_layers=1, num_attention_heads=2)),
    ),
    neck=dict(type='MLPFusion', embed_dims=64,
              streams=dict(video=dict(), text=dict())),
    heads=dict(verb=dict(type='ClassificationHead', num_classes=5, in_dims=64)),
)
test_dataloader = dict(
    sampler=dict(type='SeededSampler'),
    dataset=dict(type='MultiModalDataset', ann_file='x', pipeline=[
        dict(type='mmfusion.TokenizeQuestions', tokenizer='x', max_length=7)]))
"""


def test_the_command(tmp_path, capsys):
    config, out = tmp_path / "tiny.py", tmp_path / "flops.json"
    config.write_text(CONFIG)
    assert main([str(config), "--depth", "3", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "text 2x7" in printed and "video 3x2x32x32" in printed
    (found,) = json.loads(out.read_text())
    by_module = found["macs_by_module"]
    parts = sum(by_module[k] for k in ("encoders.video", "neck", "heads.verb"))
    assert by_module[""] == found["macs"] == pytest.approx(parts)
    assert found["inputs"]["text"] == [2, 7]
    shapes = ["--shape", "video=3x4x32x32", "--shape", "text=2x7"]
    assert main([str(config), *shapes]) == 2
    assert "(1, 3, 4, 32, 32), expected (b, 3, 2, 32, 32)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(config), "--shape", "video=3xlarge"])
