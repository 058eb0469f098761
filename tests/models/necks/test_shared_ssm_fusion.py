import pytest
import torch

from mmfusion.models import SharedSSMFusion
from mmfusion.ops import scan_backend
from mmfusion.structures import TokenFeatures
from tests.tolerances import FORWARD, GRADIENT

D, N = 8, 4
THREE = {"video": {}, "skeleton": {"mlp": True, "in_dims": 6}, "text": {"mlp": True}}


def features(names=("video", "text"), rows=2, dtype=torch.float64, lengths=(7, 5, 6)):
    widths = {"skeleton": 6}
    return {
        name: TokenFeatures(
            torch.randn(rows, length, widths.get(name, D), dtype=dtype),
            torch.randn(rows, D, dtype=dtype) if name == "video" else None,
        )
        for name, length in zip(names, lengths, strict=False)
    }


def build(**options):
    """A neck whose parameters differ, those too that start equal in all streams."""
    torch.manual_seed(0)
    neck = SharedSSMFusion(D, **{"d_state": N, **options}).double()
    with torch.no_grad():
        for value in neck.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return neck


def linear(x, layer):
    bias = 0 if layer.bias is None else layer.bias
    return layer.weight @ x + bias


def algorithm_1(neck, feats):
    """Paper B, equation 5 and Algorithm 1, one number after the other."""
    layer, outputs = neck.layers[0], {}
    A = -torch.exp(layer.A_log)  # line 1: (e, n)
    for name, stream in feats.items():
        mixer, rows = layer.mixers[name], []
        for tokens in stream.sequence[0]:
            xs, zs = [], []
            for x in tokens:  # equation 5, MLP
                if name in neck.inputs.mlps:
                    first, second, third = neck.inputs.mlps[name][::2]
                    x = linear(linear(linear(x, first).relu(), second).relu(), third)
                x, z = linear(x, mixer.in_proj).chunk(2)
                xs.append(x)
                zs.append(z)
            h, ys = torch.zeros_like(A), []
            for t in range(len(xs)):
                x = mixer.conv1d.bias  # equation 5, Conv1d
                for k in range(min(4, t + 1)):
                    x = x + mixer.conv1d.weight[:, 0, 3 - k] * xs[t - k]
                x = x * x.sigmoid()
                dt_B_C = linear(x, mixer.x_proj)
                B = dt_B_C[mixer.dt_rank : mixer.dt_rank + N]  # lines 2, 3
                C = dt_B_C[mixer.dt_rank + N :]  # lines 4, 5
                delta = linear(dt_B_C[: mixer.dt_rank], mixer.dt_proj)
                delta = torch.log1p(delta.exp())  # lines 6, 7
                A_bar = torch.exp(delta[:, None] * A)  # lines 8, 9
                B_bar = delta[:, None] * B[None]  # Mamba's simplification of eq. 2
                h = A_bar * h + B_bar * x[:, None]  # lines 10, 11 by equation 3
                y = (h * C[None]).sum(1) + mixer.D * x
                ys.append(linear(y * zs[t] * zs[t].sigmoid(), mixer.out_proj))
            rows.append(sum(ys) / len(ys))
        outputs[name] = torch.stack(rows)
    return sum(outputs.values())


def test_a_residual_adds_the_input_of_each_layer():
    feats = features()
    plain, residual = (build(num_layers=2, with_residual=r) for r in (False, True))
    with torch.no_grad():
        for neck in (plain, residual):
            for layer in neck.layers:
                for mixer in layer.mixers.values():
                    mixer.out_proj.weight.zero_()  # layers that say nothing
    tokens = {
        name: neck_input(residual, name, stream) for name, stream in feats.items()
    }
    expected = sum(value.mean(1) for value in tokens.values())
    torch.testing.assert_close(residual(feats), expected, **FORWARD[torch.float64])
    assert not plain(feats).any()


def neck_input(neck, name, stream):
    """Tokens of a stream as the first layer gets them, (b, l, d)."""
    tokens, mlps = stream.sequence[0], neck.inputs.mlps
    return mlps[name](tokens) if name in mlps else tokens


@pytest.mark.parametrize("names", [("video", "text"), tuple(THREE)], ids=["2", "3"])
def test_algorithm_1_by_a_loop(names):
    neck = build(streams={name: THREE[name] for name in names})
    feats = features(names)
    for stream in feats.values():
        stream.tokens.requires_grad_()
    results = []
    for fuse in (neck, lambda feats: algorithm_1(neck, feats)):
        y = fuse(feats)
        leaves = [s.tokens for s in feats.values()] + list(neck.parameters())
        results.append((y, torch.autograd.grad(y.square().sum(), leaves)))
    (y, grads), (expected, expected_grads) = results
    torch.testing.assert_close(y, expected, **FORWARD[torch.float64])
    assert len(grads) > 20
    for grad, other in zip(grads, expected_grads, strict=True):
        assert grad.abs().any()
        torch.testing.assert_close(grad, other, **GRADIENT[torch.float64])


def test_gradient_of_A_is_the_sum_over_streams():
    shared, feats = build(), features()
    own = build(share_A=False)
    state = shared.state_dict()
    A_log = state.pop("layers.0.A_log")
    state |= {f"layers.0.mixers.{name}.A_log": A_log for name in feats}
    own.load_state_dict(state)
    torch.testing.assert_close(own(feats), shared(feats))
    for neck in (shared, own):
        neck(feats).square().sum().backward()
    parts = [mixer.A_log.grad for mixer in own.layers[0].mixers.values()]
    assert all(part.abs().any() for part in parts)
    torch.testing.assert_close(
        shared.layers[0].A_log.grad, sum(parts), **GRADIENT[torch.float64]
    )


@pytest.mark.parametrize("where", ["end", "front", "middle"])
@pytest.mark.parametrize(
    "options",
    [dict(), dict(pooling="last"), dict(num_layers=2, with_norm=True)],
    ids=["mean", "last", "two layers"],
)
def test_a_padded_batch_equals_its_samples(options, where):
    neck, feats = build(**options), features(rows=4)
    real = torch.ones(4, 5, dtype=torch.bool)
    for row in range(1, 4):
        start = {"end": 5 - row, "front": 0, "middle": 1}[where]
        real[row, start : start + row] = False
    text = feats["text"].tokens.masked_fill(~real.unsqueeze(-1), float("nan"))
    padded = neck({**feats, "text": TokenFeatures(text, mask=real)})
    for row in range(4):
        video = feats["video"]
        one = {
            "video": TokenFeatures(video.tokens[[row]], video.cls[[row]]),
            "text": TokenFeatures(feats["text"].tokens[[row]][:, real[row]]),
        }
        torch.testing.assert_close(padded[[row]], neck(one), **FORWARD[torch.float64])


def test_padding_counts_where_asked():
    """The release's mean over all positions, pads included."""
    feats = features()
    mask = torch.tensor([[True, True, False, False, False]] * 2)
    padded = {**feats, "text": TokenFeatures(feats["text"].tokens, mask=mask)}
    assert torch.equal(build(count_padding=True)(padded), build()(feats))
    assert not torch.allclose(build()(padded), build()(feats))


@pytest.mark.parametrize("count_padding", [False, True])
def test_a_stream_that_a_sample_lacks_adds_nothing(count_padding):
    neck, feats = build(count_padding=count_padding), features()
    mask = torch.tensor([[False] * 5, [True] * 5])
    both = neck({**feats, "text": TokenFeatures(feats["text"].tokens, mask=mask)})
    alone = build(streams={"video": {}}, count_padding=count_padding)
    alone.load_state_dict(neck.state_dict(), strict=False)
    torch.testing.assert_close(both[0], alone(feats)[0])
    torch.testing.assert_close(both[1], neck(feats)[1])


def test_two_questions_share_one_run_of_the_video():
    neck, feats = build(), features()
    questions = TokenFeatures(torch.randn(4, 5, D, dtype=torch.float64))
    calls = []
    neck.layers[0].mixers["video"].register_forward_pre_hook(
        lambda module, args: calls.append(args[0].shape[0])
    )
    fused = neck({**feats, "text": questions})
    assert fused.shape == (4, D) and calls == [2]
    for index in range(2):
        text = TokenFeatures(questions.tokens[index::2])
        torch.testing.assert_close(fused[index::2], neck({**feats, "text": text}))
    with pytest.raises(ValueError, match="expected divisors of 3"):
        neck({**feats, "text": TokenFeatures(feats["text"].tokens[[0, 1, 1]])})


@pytest.mark.parametrize(
    "options",
    [
        dict(num_layers=2, with_residual=True, with_norm=True),
        dict(with_gate=False, streams={"video": {"mlp": True}, "text": {"mlp": True}}),
        dict(share_A=False, pooling="last"),
    ],
    ids=["deep", "ungated", "separate"],
)
def test_every_option_has_every_gradient(options):
    neck = build(**options)
    neck(features()).square().sum().backward()
    assert all(p.grad.abs().any() for p in neck.parameters())


def test_parameters_as_the_paper_counts_them():
    with torch.device("meta"):
        base, large = (
            SharedSSMFusion(768),
            SharedSSMFusion(
                1024, streams={"video": {}, "text": {"mlp": True, "in_dims": 768}}
            ),
        )
    counts = [sum(p.numel() for p in neck.parameters()) for neck in (base, large)]
    # 768: two mixers without A, A, the text's MLP; 157 - 148 M in Table 4
    assert counts == [2 * 3_746_304 + 24_576 + 1_771_008, 16_185_344]


def test_backends_agree():
    outputs = []
    for backend in ("torch", "reference"):
        with scan_backend(backend):
            torch.manual_seed(1)
            outputs.append(build()(features()))
    torch.testing.assert_close(*outputs, **FORWARD[torch.float64])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(pooling="max"), "expected one of"),
        (dict(streams={"video": {"width": 3}}), "in_dims"),
        (dict(streams={"video": {"in_dims": 3}}), "mlp=True"),
        (dict(streams={}), "streams is empty"),
    ],
    ids=["pooling", "setting", "width", "empty"],
)
def test_wrong_arguments_raise(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_wrong_features_raise():
    feats = features()
    with pytest.raises(ValueError, match="encoders give"):
        build()({"video": feats["video"]})
    feats["text"] = TokenFeatures(torch.randn(2, 3, 5))
    with pytest.raises(ValueError, match="in_dims=5"):
        build()(feats)
