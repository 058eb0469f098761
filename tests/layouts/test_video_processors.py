"""Processor files: our steps against the processors that need no torchvision."""

import json

import numpy as np
import pytest

from mmfusion.datasets.transforms import ResizeFrames
from mmfusion.layouts.video_processors import parse_preprocessing, read_preprocessing
from mmfusion.utils.errors import InputError

FILES = {
    "videomae": dict(
        image_processor_type="VideoMAEImageProcessor",
        size={"shortest_edge": 24},
        crop_size={"height": 20, "width": 20},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    ),
    "old names": dict(
        feature_extractor_type="VideoMAEFeatureExtractor", size=24, crop_size=24
    ),
    "vivit": dict(
        image_processor_type="VivitImageProcessor",
        size={"shortest_edge": 30},
        crop_size={"height": 24, "width": 24},
        offset=True,
        rescale_factor=1 / 127.5,
    ),
    "bit": dict(
        image_processor_type="BitImageProcessor",
        size={"shortest_edge": 24},
        crop_size={"height": 20, "width": 20},
    ),
    "squashed, bicubic": dict(
        image_processor_type="VideoMAEImageProcessor",
        size={"height": 28, "width": 20},
        do_center_crop=False,
        resample=3,
        do_normalize=False,
    ),
}


def frames(height, width):
    """Two frames with sharp edges and noise."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    noise[0, : height // 2, : width // 3] = 255
    return noise


def ours(told, video):
    """(t, h, w, 3) uint8 -> (t, 3, h, w), by the steps of a config's pipeline."""
    results = dict(imgs=[*video])
    if told.size is not None:
        results = ResizeFrames(told.size, told.resample)(results)
    x = np.stack(results["imgs"]).astype(np.float64)
    if told.crop is not None:
        width, height = told.crop
        top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
        x = x[:, top : top + height, left : left + width]
    return ((x - told.mean) / told.std).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("shape", [(60, 81), (90, 50), (17, 24)])
@pytest.mark.parametrize("name", FILES)
def test_steps_are_those_of_the_processor(name, shape):
    from transformers.models.bit import image_processing_pil_bit as bit
    from transformers.models.videomae import image_processing_pil_videomae as videomae
    from transformers.models.vivit import image_processing_vivit as vivit

    content, video = FILES[name], frames(*shape)
    kind = videomae.VideoMAEImageProcessorPil
    if name == "vivit":
        kind = vivit.VivitImageProcessor
    elif name == "bit":
        kind = bit.BitImageProcessorPil
    processor = kind.from_dict({k: v for k, v in content.items() if "_type" not in k})
    wanted = np.squeeze(processor([*video], return_tensors="np")["pixel_values"])
    told = parse_preprocessing(content, name)
    found = ours(told, video)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)


def test_vjepa_resizes_by_its_crop_and_counts_its_frames():
    content = dict(
        video_processor_type="VJEPA2VideoProcessor",
        crop_size=384,
        size={"shortest_edge": 256},
        do_sample_frames=True,
        num_frames=64,
    )
    told = parse_preprocessing(content, "file")
    assert (told.size, told.crop, told.num_frames) == (438, (384, 384), 64)
    np.testing.assert_allclose(told.mean, np.array([0.485, 0.456, 0.406]) * 255)


def test_the_file_that_transformers_would_read(tmp_path):
    for name, side in (("preprocessor_config", 24), ("processor_config", 32)):
        content = dict(FILES["old names"], size=side)
        if name == "processor_config":
            content = {"video_processor": content}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    assert read_preprocessing(str(tmp_path)).size == 32
    (tmp_path / "processor_config.json").write_text('{"processor_class": "X"}')
    assert read_preprocessing(str(tmp_path)).size == 24


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(resample=1), "resample is 1, expected one of"),
        (dict(size={"longest_edge": 3}), "size: it is .*expected pixels"),
        (dict(crop_size="x"), "crop_size: it is 'x', expected pixels"),
        (dict(image_std=0), r".* image_std \[0, 0, 0\], expected numbers above 0"),
        (dict(image_std=[1, -1, 1]), "rescale_factor is .* expected numbers above 0"),
        (dict(image_mean=float("nan")), "image_mean is nan, expected 3 numbers"),
        (dict(rescale_factor="1/255"), "rescale_factor is '1/255'"),
        (dict(resample=[2]), r"resample is \[2\], expected one of"),
        (dict(do_sample_frames=True, num_frames="16"), "num_frames is '16', expected"),
        (dict(image_mean=[1]), r"image_mean is \[1\], expected 3 numbers"),
    ],
)
def test_what_nothing_here_does_is_refused(change, message):
    with pytest.raises(InputError, match=f"p.json: {message}"):
        parse_preprocessing({**FILES["videomae"], **change}, "p.json")
    with pytest.raises(InputError, match="has none of .*hf download a/b --rev"):
        read_preprocessing("a/b", "main")
