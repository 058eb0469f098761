"""A frozen teacher beside the model that is trained: what it is part of, and not."""

import copy
import math

import pytest
import torch

from mmfusion.engine.runner.checkpoints import save_atomic
from mmfusion.structures import ActionDataSample
from mmfusion.utils.errors import CheckpointError, InputError
from tests.models.recognizers.test_multimodal_recognizer import (
    HEAD,
    NECK,
    SKELETON,
    VIDEO,
    build,
    forward,
    make_batch,
)

START = dict(type="Pretrained", checkpoint="teacher.pth")
LOSSES = dict(
    logits=dict(type="LogitsDistillation"),
    features=dict(type="FeatureDistillation", in_dims=64, out_dims=64),
    relations=dict(type="RelationDistillation"),
)


def teacher(path="teacher.pth", **changes):
    return {
        "type": "MultiModalRecognizer",
        "encoders": dict(
            video=dict(VIDEO, init_cfg=dict(type="Pretrained", checkpoint="stage1")),
            skeleton=SKELETON,
        ),
        "neck": NECK,
        "heads": dict(action=HEAD),
        "init_cfg": dict(type="Pretrained", checkpoint=str(path)),
        **changes,
    }


def distill(config=None, losses=LOSSES, **options):
    return dict(
        distill=dict(
            type="Distillation", teacher=config or teacher(), losses=losses, **options
        )
    )


def test_a_student_of_one_stream_learns_from_a_teacher_of_two():
    model = build(("video",), auxiliary=distill())
    losses = forward(model, make_batch(views=2), "loss")
    names = {f"loss_distill_{name}" for name in LOSSES}
    assert set(losses) == {"loss_action", "acc_action", *names}
    sum(losses[name] for name in names).backward()
    assert model.encoders["video"].cls_token.grad.abs().any()
    assert model.auxiliary["distill"].losses["features"].projection.weight.grad.any()
    taught = model.auxiliary["distill"].teacher
    assert all(p.grad is None and not p.requires_grad for p in taught.parameters())
    forward(model.eval(), dict(make_batch(), inputs=video_only()), "predict")


def video_only():
    return {"video": make_batch()["inputs"]["video"]}


def test_the_teacher_is_no_part_of_the_student():
    model = build(("video",), auxiliary=distill())
    plain = build(("video",))
    projection = {f"auxiliary.distill.losses.features.projection.{x}" for x in WB}
    assert model.state_dict().keys() == plain.state_dict().keys() | projection
    names = {name for name, _ in model.named_parameters()}
    assert names == {name for name, _ in plain.named_parameters()} | projection
    taught = model.auxiliary["distill"].teacher
    assert not model.train().auxiliary["distill"].teacher.training
    assert copy.deepcopy(model).auxiliary["distill"].teacher is taught
    assert all(p.dtype == torch.float64 for p in model.double().parameters())
    assert all(p.dtype == torch.float64 for p in taught.parameters())


WB = ("weight", "bias")


def test_with_a_weight_of_zero_a_step_is_that_of_the_plain_model():
    zero = dict(logits=dict(type="LogitsDistillation", weight=0.0))
    batch, states = make_batch(), []
    for auxiliary in (None, distill(losses=zero)):
        model = build(("video",), auxiliary=auxiliary)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses = forward(model, copy.deepcopy(batch), "loss")
        sum(x for name, x in losses.items() if "loss" in name).backward()
        optimizer.step()
        states.append(model.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_the_teacher_comes_from_its_whole_checkpoint(tmp_path):
    trained = build()
    with torch.no_grad():
        trained.heads["action"].fc.bias.fill_(3.0)
    path = tmp_path / "best.pth"
    save_atomic({"meta": {}, "state_dict": trained.state_dict()}, path)
    model = build(("video",), auxiliary=distill(teacher(path)))
    model.init_weights()  # the stage-1 file that a part names is not looked for
    taught = model.auxiliary["distill"].teacher.state_dict()
    assert all(torch.equal(taught[k], v) for k, v in trained.state_dict().items())
    with pytest.raises(CheckpointError, match=r"teacher.pth.* does not exist"):
        build(("video",), auxiliary=distill()).init_weights()


def test_a_stream_of_the_teacher_may_have_another_name_in_the_batch():
    model = build(("video",), auxiliary=distill(inputs=dict(skeleton="hands"))).eval()
    batch = make_batch()
    same = build(("video",), auxiliary=distill()).eval()
    expected = forward(same, batch, "loss")["loss_distill_logits"]
    inputs = batch["inputs"]
    for name in ("skeleton", "skeleton_mask"):
        inputs[name.replace("skeleton", "hands")] = inputs.pop(name)
    assert torch.equal(forward(model, batch, "loss")["loss_distill_logits"], expected)
    with pytest.raises(InputError, match=r"encoders read \['skeleton'\] too"):
        forward(same, batch, "loss")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            dict(config=teacher(init_cfg=None)),
            "teacher.init_cfg is None: expected dict",
        ),
        (dict(config={**VIDEO, "init_cfg": START}), "is a VideoMamba, expec"),
        (dict(losses={}), "losses is empty, expected one or more"),
        (dict(inputs=dict(text="told")), r"inputs names \['text'\], the teacher reads"),
    ],
)
def test_a_wrong_teacher_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        build(("video",), auxiliary=distill(**options))


def test_clips_without_a_label_count_in_the_auxiliary_losses_alone():
    model = build(("video",), auxiliary=distill(), unlabelled=True).eval()
    batch = make_batch(views=2)
    whole = forward(model, copy.deepcopy(batch), "loss")
    samples = batch["data_samples"]
    samples[1] = ActionDataSample(metainfo=samples[1].metainfo)
    some = forward(model, batch, "loss")
    assert some["loss_distill_logits"] == whole["loss_distill_logits"]
    logits = forward(model, batch, "tensor")["action"][[0, 1, 4, 5]]
    mean = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 0, 2, 2]))
    torch.testing.assert_close(some["loss_action"], mean * 2 / 3)  # 2 of 3 clips
    batch["data_samples"] = [ActionDataSample(metainfo=x.metainfo) for x in samples]
    none = forward(model, batch, "loss")
    assert none["loss_action"] == 0 and "acc_action" not in none
    with pytest.raises(InputError, match="sample '0' has action label None"):
        forward(build(("video",)), dict(batch, inputs=video_only()), "loss")


@pytest.mark.parametrize("known", [0, 1, 3, 4], ids="{} of 4 labelled".format)
def test_each_label_weighs_as_one_clip_of_the_batch(known):
    model = build(("video",), unlabelled=True).eval()
    torch.nn.init.zeros_(model.heads["action"].fc.weight)
    torch.nn.init.zeros_(model.heads["action"].fc.bias)
    batch = dict(make_batch(batch=4, views=2))
    batch["inputs"] = {"video": batch["inputs"]["video"]}
    for sample in batch["data_samples"][known:]:
        del sample.gt_action
    loss = forward(model, batch, "loss")["loss_action"]
    assert loss.item() == pytest.approx(
        known / 4 * math.log(HEAD["num_classes"]), rel=1e-6
    )
