"""Whole models give the same results with every scan backend; export and compile."""

import pytest
import torch

from mmfusion.models import CLSMixFusion, SharedSSMFusion, SkeletonMamba, VideoMamba
from mmfusion.ops import available_backends, scan_backend
from mmfusion.structures import TokenFeatures

FAST = [name for name in available_backends() if name != "reference"]
TWO_STREAMS = ("video", "skeleton")


def two_streams(names):
    return {
        name: TokenFeatures(torch.randn(2, length, 16), torch.randn(2, 16))
        for name, length in zip(names, (9, 6), strict=True)
    }


MODELS = {
    "VideoMamba": lambda: (
        VideoMamba(arch="nano", img_size=32, num_frames=4),
        torch.randn(2, 3, 4, 32, 32),
    ),
    "SkeletonMamba": lambda: (
        SkeletonMamba(arch="nano", num_frames=6),
        torch.randn(2, 6, 42, 3),
    ),
    "CLSMixFusion": lambda: (
        CLSMixFusion(dict(type="ContextMix"), embed_dims=16),
        two_streams(TWO_STREAMS),
    ),
    "CLSMixFusion, two directions": lambda: (
        CLSMixFusion(
            dict(type="WeightedMix"),
            embed_dims=16,
            bidirectional=True,
            cls_position="middle",
        ),
        two_streams(TWO_STREAMS),
    ),
    "SharedSSMFusion": lambda: (
        SharedSSMFusion(16),
        two_streams(("video", "text")),
    ),
}


def results(model, inputs, backend):
    """The fused or CLS vector and the gradient of every parameter it reaches."""
    model.zero_grad()
    with scan_backend(backend):
        out = model(inputs)
        out = getattr(out, "cls", out)
        out.square().sum().backward()
    grads = {
        k: p.grad.clone() for k, p in model.named_parameters() if p.grad is not None
    }
    return out.detach(), grads


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", FAST)
def test_same_results_with_every_backend(name, backend):
    torch.manual_seed(0)
    model, inputs = MODELS[name]()
    model.eval()
    out, grads = results(model, inputs, backend)
    expected, expected_grads = results(model, inputs, "reference")
    assert (out - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert grads.keys() == expected_grads.keys() and len(grads) > 10
    largest = max(grad.abs().max() for grad in expected_grads.values())
    for key, grad in grads.items():
        error = (grad - expected_grads[key]).abs().max()
        scale = (
            expected_grads[key].abs().max().clamp(1e-3 * largest)
        )  # of sums that cancel
        assert error <= 1e-4 * scale, f"{key} is off by {error / scale:.1e}"


class ClsOnly(torch.nn.Module):
    """Plain tensors out: what is saved then needs no mmfusion."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x).cls


@pytest.fixture
def small_video_mamba():
    torch.manual_seed(0)
    model = VideoMamba(arch="nano", img_size=64, num_frames=4)
    del model.layers[1:]
    return ClsOnly(model).eval(), torch.randn(2, 3, 4, 64, 64)


@pytest.mark.slow
@torch.no_grad()
def test_exports_without_a_loop_over_tokens(small_video_mamba, tmp_path):
    model, x = small_video_mamba
    program = torch.export.export(model, (x,))
    targets = [str(node.target) for node in program.graph.nodes]
    assert not [target for target in targets if "mmfusion" in target]
    assert len(targets) < 400  # 65 tokens, one layer
    torch.export.save(program, tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    torch.testing.assert_close(loaded(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@torch.no_grad()
def test_exports_as_it_is(tmp_path):
    torch.manual_seed(0)
    model = VideoMamba(arch="nano", img_size=32, num_frames=4).eval()
    del model.layers[1:]
    x = torch.randn(2, 3, 4, 32, 32)
    program = torch.export.export(model, (x,))
    torch.export.save(program, tmp_path / "model.pt2")
    feats = torch.export.load(tmp_path / "model.pt2").module()(x.flip(0))
    assert isinstance(feats, TokenFeatures) and feats.mask is None
    expected = model(x.flip(0)).cls
    torch.testing.assert_close(feats.cls, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backend", FAST)
def test_compiles_without_a_break(small_video_mamba, backend):
    model, x = small_video_mamba
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with scan_backend(backend):
        gradients = []
        for run in (compiled, model):
            model.zero_grad()
            y = run(x)
            y.square().sum().backward()
            weights = [p.grad for p in model.parameters() if p.grad is not None]
            gradients.append([y.detach(), *weights])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_shapes_without_numbers():
    """On the meta device: sizes of a model that has no memory."""
    with torch.device("meta"):
        model, inputs = MODELS["VideoMamba"]()
        assert model(inputs).cls.shape == (2, 64)
