"""Every config's model and losses on CUDA tensors that have no content.

A trial builds the model of one config without content, moves it to ``cuda`` and calls
it as testing and training do, preprocessor included. Its tensors there are PyTorch's
fake ones: shape, dtype and device, no numbers and no GPU. Tensors on the CPU are real.
Stacks of equal blocks are cut to two. Autograd and other kernels of a GPU do not run.

What must hold: no operator gets tensors of both devices, losses and scores are on the
GPU, and nothing asks a tensor there for a number, for which the GPU would be waited
for. Whoever calls ``cpu()`` says that it waits: that is counted (outcome "waits").
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode

from mmfusion.analysis.meta_device import without_content
from mmfusion.engine.launch.completion import complete_config
from mmfusion.models import MultiModalRecognizer
from mmfusion.models.protocols import ReadsBoxes, ReadsFrameByFrame
from mmfusion.ops import backends
from mmfusion.registry import MODELS
from mmfusion.structures import ActionDataSample
from tests.campaigns.campaign import main
from tests.configs.custom_files import TWO21, write_custom
from tests.configs.loaded import load
from tests.configs.test_configs import CONFIGS

aten = torch.ops.aten
STACKS = ("blocks", "layer", "layers", "resblocks", "space", "time")
SIZE, FRAMES, MOMENTS, WORDS = 2, 4, 5, 6
_NUMBERS = {
    getattr(Tensor, name)
    for name in ("__bool__", "__float__", "__index__", "__int__", "item", "tolist")
} | {torch.equal, torch.allclose, torch.nonzero, Tensor.nonzero, Tensor.numpy}


class FakeGpu(TorchFunctionMode):
    """Whatever is on ``cuda`` is fake; the rest is as ever.

    What PyTorch's Python bindings do under a CUDA device guard needs a CUDA build: it
    is done here by operators that have none. A mask that selects counts as all True,
    and so does what is fetched by ``cpu()``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)
        self.waits = 0

    def __torch_function__(
        self,
        func: Callable,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if not any(map(_on_gpu, _flat((*args, *kwargs.values())))):
            return func(*args, **kwargs)
        if func in _NUMBERS:
            raise AssertionError(f"the GPU is waited for: {func.__name__} of a tensor")
        if func is Tensor.cpu:
            self.waits += 1
            return torch.ones(args[0].shape, dtype=args[0].dtype)
        with self.fake:
            if func is Tensor.__getitem__:
                x, at = _view(args[0], args[1])
                return aten.index.Tensor(x, at) if at else x
            if func is Tensor.__setitem__:
                return _set(*args)
            if func is Tensor.__invert__:
                return torch.bitwise_not(args[0])
            if func is Tensor.contiguous and not args[0].is_contiguous():
                return args[0].clone(memory_format=torch.contiguous_format)
            if func is torch.conv1d:  # calls contiguous by itself
                args = [_whole(x) for x in args]
            if func is F.batch_norm and kwargs["training"]:  # writes its averages
                args = (args[0], None, None)
            if func is F.grid_sample:  # as the next
                x, grid = args
                assert x.device == grid.device, (x.device, grid.device)
                return x.new_empty(*x.shape[:2], *grid.shape[1:-1])
            if func is F.interpolate:  # others are decomposed, and index by the way
                kwargs = dict(kwargs, mode="nearest", align_corners=None)
            return func(*args, **kwargs)


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, list | tuple) else (value,)


def _on_gpu(value: Any) -> bool:
    if isinstance(value, FakeTensor):
        return value.device.type == "cuda"
    return isinstance(value, torch.device | str) and str(value).startswith("cuda")


def _whole(x: Any) -> Any:
    if not isinstance(x, Tensor) or x.is_contiguous():
        return x
    return x.clone(memory_format=torch.contiguous_format)


def _view(x: Tensor, index: Any) -> tuple[Tensor, list[Tensor | None]]:
    """``x[index]`` as a view and the tensors that are left to index it."""
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = [torch.tensor(part) if isinstance(part, list) else part for part in parts]
    used = sum(_dims_of(part) for part in parts if part is not Ellipsis)
    places = [i for i, part in enumerate(parts) if part is Ellipsis]
    at = places[0] if places else len(parts)
    parts[at : at + 1] = [slice(None)] * (x.ndim - used)
    dim, tensors = 0, []
    for part in parts:
        if isinstance(part, int):
            x = aten.select.int(x, dim, part)
            continue
        if isinstance(part, Tensor):
            assert part.device in (x.device, torch.device("cpu")), part.device
            if part.dtype == torch.bool:
                x = x.flatten(dim, dim + part.ndim - 1)
                part = torch.arange(x.shape[dim], device=x.device)
            tensors += [None] * (dim - len(tensors)) + [part]
        elif part is None:
            x = x.unsqueeze(dim)
        else:
            x = aten.slice.Tensor(x, dim, part.start, part.stop, part.step or 1)
        dim += 1
    return x, tensors


def _dims_of(part: Any) -> int:
    if isinstance(part, Tensor) and part.dtype == torch.bool:
        return part.ndim
    return 0 if part is None else 1


def _set(x: Tensor, index: Any, value: Any) -> None:
    """Check what would be written; a plain copy may come from the other device."""
    x, at = _view(x, index)
    if at:
        value = torch.as_tensor(
            value, dtype=x.dtype, device=getattr(value, "device", x.device)
        )
        aten.index_put(x, at, value)
    elif isinstance(value, Tensor):
        value.expand(x.shape)


@contextmanager
def triton_serves() -> Iterator[None]:
    """Let ``auto`` take the Triton operators' shapes, as on a GPU."""
    known = dict(backends._reasons)
    backends.missing_reason("triton")
    backends._reasons["triton"] = None
    try:
        yield
    finally:
        backends._reasons.clear()
        backends._reasons.update(known)


def completed(name: str, folder: Path) -> Any:
    """The config of that name, of data that are made where its sizes come from it."""
    config = load(name)
    config.pop("features", None)
    video = config.model.encoders.get("video", {})
    if "hf_config" in video:
        sizes = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
        sizes |= dict(model_type="videomae", num_frames=FRAMES, image_size=32)
        video.update(pretrained=None, hf_config=sizes)
        config.model.data_preprocessor.update(mean=[0.0] * 3, std=[1.0] * 3)
        for part in ("train", "val", "test"):
            for step in config[f"{part}_dataloader"].dataset.pipeline:
                known = {"size": 36, "resample": "bilinear", "crop_size": 32}
                step.update({key: x for key, x in known.items() if key in step})
    dataset = config.train_dataloader.dataset
    if dataset.get("ann_file", "").endswith(".json") and _needs_data(config):
        write_custom(folder, TWO21 | {"hands": ["hand"]}, by_joint=False, video="a.mp4")
        shutil.copy(folder / "annotation.json", folder / "fold0.json")
        for part in ("train", "val", "test"):
            config[f"{part}_dataloader"].dataset.data_root = str(folder)
        complete_config(config)
    return config


def _needs_data(config: Any) -> bool:
    return any(head.num_classes is None for head in config.model.heads.values())


def empty_model(config: Any) -> MultiModalRecognizer:
    """The model without content; of its deep stacks of equal blocks two are left."""
    with without_content():
        model = MODELS.build(config.model)
    taught = [x.teacher for x in model.auxiliary.values() if hasattr(x, "teacher")]
    for whole in (model, *taught):
        for name, part in [*whole.named_modules()]:
            if name.rpartition(".")[2] in STACKS and len(part) > 3:
                sizes = [[p.shape for p in one.parameters()] for one in part]
                if all(one == sizes[0] for one in sizes):
                    del part[2:]
        whole.load_state_dict(whole.state_dict())  # one may refuse to run unloaded
    return model


def made_batch(model: MultiModalRecognizer) -> dict[str, Any]:
    """Clips of every stream that the model or its teachers read, on the CPU."""
    taught = [x for x in model.auxiliary.values() if hasattr(x, "teacher")]
    inputs: dict[str, Tensor] = {}
    for whole, names in [(model, {}), *((x.teacher, x.inputs) for x in taught)]:
        for name, encoder in whole.encoders.items():
            x = _clip(name, encoder, len(model.question_tasks))
            mask = x[:, :, 0, :, 0, 0] >= 0 if name == "video" and x.ndim == 6 else None
            mask = x[..., 0] == x[..., 0] if mask is None else mask
            mask = torch.ones_like(x, dtype=torch.bool) if name == "text" else mask
            name = names.get(name, name)
            inputs |= {name: x, f"{name}_mask": mask}
            if isinstance(encoder, ReadsBoxes):
                boxes = (SIZE, 1, x.shape[3], encoder.num_boxes, 4)
                inputs["boxes"] = torch.rand(boxes)
    samples = [ActionDataSample(metainfo=dict(sample_id=str(i))) for i in range(SIZE)]
    return dict(inputs=inputs, data_samples=samples)


def _clip(name: str, encoder: Any, questions: int) -> Tensor:
    if name == "text":
        return torch.ones(SIZE, 1, questions, WORDS, dtype=torch.int64)
    if isinstance(encoder, ReadsFrameByFrame):
        frame = encoder.frame_shape
        shape = (3, MOMENTS, *frame[1:]) if name == "video" else (MOMENTS, *frame)
    elif hasattr(encoder, "input_shape"):
        shape = encoder.input_shape
    elif hasattr(encoder, "in_dims"):
        shape = (MOMENTS, encoder.in_dims)
    else:
        joints = encoder.backbone.graph.A.shape[1]  # of a hand
        channels = encoder.backbone.data_bn.num_features // joints
        shape = (16, encoder.num_hands * joints, channels)
    if name == "video" and len(shape) == 4:
        return torch.zeros(SIZE, 1, *shape, dtype=torch.uint8)
    return torch.zeros(SIZE, 1, *shape)


def call_both_ways(model: MultiModalRecognizer, batch: dict[str, Any]) -> None:
    """Test, give labels like the scores, train."""
    tested = model.eval()(**model.data_preprocessor(batch), mode="predict")
    name, clip = next(iter(batch["inputs"].items()))
    observed = torch.zeros(clip.shape[3 if name == "video" else 2], dtype=torch.int64)
    for sample, scored in zip(batch["data_samples"], tested, strict=True):
        for task, head in model.heads.items():
            score = scored.get(f"score_{task}")
            assert score.device.type == "cuda", f"score_{task} is on {score.device}"
            label = torch.tensor(head.num_classes - 1)
            if score.ndim > 1:
                label = F.one_hot(label.expand(len(score))).float()
            sample.set_field(label, f"gt_{task}")
            sample.set_field(observed, f"past_{task}")
    batch = model.train().data_preprocessor(batch, True)
    for name, value in model(**batch, mode="loss").items():
        assert value.device.type == "cuda", f"{name} is on {value.device}"


def trial(number: int, random: np.random.Generator, folder: Path) -> str:
    """Run one config, by its number."""
    config = completed(CONFIGS[number], folder)
    with DefaultScope.overwrite_default_scope("mmfusion"), torch.no_grad():
        model = empty_model(config)
        with FakeGpu() as gpu, triton_serves():
            model.to_empty(device="cuda")
            model.data_preprocessor._device = torch.device("cuda", 0)
            call_both_ways(model, made_batch(model))
    return "waits" if gpu.waits else "never waits"


if __name__ == "__main__":
    main(trial, __doc__, len(CONFIGS))
