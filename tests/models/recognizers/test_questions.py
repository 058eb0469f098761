"""Video, skeleton and questions in one model: what each head reads."""

import pytest
import torch
from mmengine.model import BaseModule

from mmfusion.engine import FusionOptimWrapper
from mmfusion.models import MultiModalRecognizer
from mmfusion.registry import MODELS
from mmfusion.structures import ActionDataSample, TokenFeatures

VIDEO = dict(type="VideoMamba", arch="nano", img_size=16, num_frames=2)
SKELETON = dict(type="SkeletonMamba", arch="nano", num_frames=4)
TEXT = dict(
    type="TextEncoder",
    pretrained=None,
    mode="tuned",
    hf_config=dict(
        model_type="roberta",
        vocab_size=30,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
    ),
)
ENCODERS = dict(video=VIDEO, skeleton=SKELETON, text=TEXT)
SSM = dict(type="SharedSSMFusion")
NECKS = dict(
    ssm=SSM,
    separate=dict(type="SharedSSMFusion", share_A=False),
    mlp=dict(type="MLPFusion"),
    pooled=dict(type="TransformerFusion", depth=1, num_positions=40),
    tokens=dict(type="TransformerFusion", depth=1, num_positions=40, inputs="tokens"),
)
HEAD = dict(type="ClassificationHead", in_dims=64, num_classes=3)
HEADS = dict(verb=HEAD, noun=HEAD, action=dict(HEAD, num_classes=4))


def build(names=("video", "text"), neck=SSM, **options):
    torch.manual_seed(0)
    streams = {name: {} for name in names}
    if "text" in names:
        streams["text"] = dict(mlp=True, in_dims=32)
    neck = None if len(names) == 1 else {"embed_dims": 64, "streams": streams, **neck}
    in_dims = 32 if names == ("text",) else 64
    heads = {task: dict(head, in_dims=in_dims) for task, head in HEADS.items()}
    config = dict(encoders={n: ENCODERS[n] for n in names}, neck=neck, heads=heads)
    return MultiModalRecognizer(**{**config, **options})


def make_batch(names=("video", "text"), views=1, questions=2):
    torch.manual_seed(1)
    text = torch.randint(3, 30, (2, 1, questions, 6))
    mask = torch.ones_like(text, dtype=torch.bool)
    mask[0, ..., 4:] = False
    inputs = dict(
        video=torch.randn(2, views, 3, 2, 16, 16),
        skeleton=torch.randn(2, views, 4, 42, 3),
        text=text.masked_fill(~mask, 1),
        text_mask=mask,
    )
    samples = []
    for index in range(2):
        sample = ActionDataSample(metainfo=dict(sample_id=str(index)))
        sample.gt_verb, sample.gt_noun = torch.tensor(index), torch.tensor(2)
        sample.gt_action = torch.tensor(index + 1)
        samples.append(sample)
    kept = {key: x for key, x in inputs.items() if key.removesuffix("_mask") in names}
    return dict(inputs=kept, data_samples=samples)


@pytest.mark.parametrize(
    "names",
    [("video", "text"), ("video", "skeleton", "text"), ("text",), ("video",)],
    ids="+".join,
)
def test_every_parameter_learns(names):
    model = build(names)
    batch = make_batch(names)
    losses = model(**batch, mode="loss")
    sum(v for k, v in losses.items() if k.startswith("loss")).backward()
    zero = [n for n, p in model.named_parameters() if not p.grad.abs().any()]
    # without a neck only VideoMamba's CLS token is read: test_multimodal_recognizer.py
    assert zero == (["encoders.video.layers.3.mixer.A_log"] * (names == ("video",)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batch["inputs"] |= {
        k: v.to(torch.uint8) for k, v in batch["inputs"].items() if k == "video"
    }
    log = model.train_step(batch, FusionOptimWrapper(optimizer))
    assert log["loss"].isfinite()


@pytest.mark.parametrize("neck", NECKS)
def test_each_question_reaches_its_own_head_only(neck):
    model, batch = build(neck=NECKS[neck]).eval(), make_batch()
    before = model(**batch)
    batch["inputs"]["text"][:, :, 1, 1:4] = 7  # the noun question
    after = model(**batch)
    assert torch.equal(before["verb"], after["verb"])
    assert not torch.equal(before["noun"], after["noun"])
    assert not torch.equal(before["action"], after["action"])  # reads the mean


def test_joint_heads_read_the_mean():
    model, batch = build(questions="joint").eval(), make_batch()
    seen = {}
    for task, head in model.heads.items():
        head.register_forward_pre_hook(
            lambda module, args, task=task: seen.update({task: args[0]})
        )
    model(**batch)
    assert torch.equal(seen["verb"], seen["noun"])
    model.questions = "separate"
    joint = seen["verb"]
    model(**batch)
    torch.testing.assert_close(joint, (seen["verb"] + seen["noun"]) / 2)


def test_one_question_serves_all_heads_and_all_views():
    model = build().eval()
    batch = make_batch(views=3, questions=1)
    logits = model(**batch)
    assert logits["verb"].shape == (6, 3)
    batch["inputs"]["text"] = batch["inputs"]["text"].expand(-1, 3, -1, -1)
    batch["inputs"]["text_mask"] = batch["inputs"]["text_mask"].expand(-1, 3, -1, -1)
    torch.testing.assert_close(model(**batch)["noun"], logits["noun"])


def test_scores_are_the_mean_over_views_of_each_question():
    model, batch = build().eval(), make_batch(views=3)
    logits = model(**batch)["noun"]
    samples = model(**batch, mode="predict")
    for sample, rows in zip(samples, logits.unflatten(0, (2, 3)), strict=True):
        torch.testing.assert_close(sample.score_noun, rows.softmax(-1).mean(0))


def test_a_task_without_a_head_has_no_score():
    model = build(heads=dict(action=HEADS["action"])).eval()
    for sample in model(**make_batch(), mode="predict"):
        assert sample.score_action.shape == (4,)
        assert "score_verb" not in sample and "score_noun" not in sample


def test_a_sample_without_questions():
    model, batch = build().eval(), make_batch()
    batch["inputs"]["text_mask"][1] = False
    before = model(**batch)["verb"]
    batch["inputs"]["text"][1] = 5
    assert torch.equal(model(**batch)["verb"], before)


@MODELS.register_module()
class BoxesEncoder(BaseModule):
    """A stand-in for an encoder that reads a second stream."""

    extra_streams = ("boxes",)

    def forward(self, x, mask=None, boxes=None, boxes_mask=None):
        self.seen = (mask, boxes, boxes_mask)
        return TokenFeatures(x.flatten(1)[:, :64].unsqueeze(1))


def test_extra_streams_come_by_keyword():
    model = MultiModalRecognizer(dict(video=dict(type="BoxesEncoder")), dict(verb=HEAD))
    inputs = dict(
        video=torch.randn(2, 3, 3, 2, 16, 16),
        boxes=torch.rand(2, 1, 2, 4, 4),
        boxes_mask=torch.ones(2, 1, 2, 4, dtype=torch.bool),
    )
    model(inputs)
    mask, boxes, boxes_mask = model.encoders["video"].seen
    assert mask is None and boxes.shape == (6, 2, 4, 4)
    assert torch.equal(boxes[3], inputs["boxes"][1, 0]) and boxes_mask.shape == (
        6,
        2,
        4,
    )
    del inputs["boxes_mask"]
    model(inputs)
    assert model.encoders["video"].seen[2] is None
    del inputs["boxes"]
    with pytest.raises(ValueError, match=r"read \['boxes'\] too"):
        model(inputs)


def test_wrong_questions_raise():
    with pytest.raises(ValueError, match="questions is 'both'"):
        build(questions="both")
    with pytest.raises(ValueError, match="has 3 questions a sample, expected 1 or"):
        build()(**make_batch(questions=3))
    batch = make_batch()
    batch["data_samples"][1].set_metainfo(dict(question_tasks=("noun", "verb")))
    with pytest.raises(
        ValueError, match=r"'1' has the questions of \('noun', 'verb'\)"
    ):
        build()(**batch, mode="loss")
