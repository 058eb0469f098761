"""The configs of configs/mambavl: build, have an optimizer, share one set of data."""

from pathlib import Path

import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mmfusion.registry import MODELS
from tests.configs.loaded import ROOT, load

CONFIGS = sorted(f"mambavl/{path.name}" for path in (ROOT / "mambavl").glob("*.py"))
PARTS = ("train", "val", "test")
# of the fusers, the text's MLP included; paper B's Table 4 has 157 M for the third
PARAMETERS = {
    "mambavl_base_ek100": 95_405_197,
    "mambavl_large_ek100": 319_788_429,
    "mambavl_orvit_ek100": 156_966_541,
    "transformer_12x12_orvit_ek100": 242_159_245,
    "video_only_orvit_ek100": 147_678_349,
}


@pytest.fixture(scope="module", params=CONFIGS)
def built(request):
    config = load(request.param)
    with torch.device("meta"):
        model = MODELS.build(config.model)
    return request.param, config, model


def test_builds_with_an_optimizer_for_every_trained_parameter(built):
    name, config, model = built
    groups = build_optim_wrapper(model, config.optim_wrapper).optimizer.param_groups
    trained = [p for p in model.parameters() if p.requires_grad]
    assert sum(len(group["params"]) for group in groups) == len(trained)
    expected = PARAMETERS.get(Path(name).stem)
    if expected is not None:
        assert sum(p.numel() for p in trained) == expected


def test_loaders_share_a_root_and_give_what_the_model_reads(built):
    _, config, model = built
    datasets = [config[f"{part}_dataloader"].dataset for part in PARTS]
    assert len({dataset.data_root for dataset in datasets}) == 1
    assert datasets[1].pipeline == datasets[2].pipeline
    assert datasets[1].questions == datasets[2].questions
    streams = set(model.encoders)
    streams |= {
        extra
        for encoder in model.encoders.values()
        for extra in getattr(encoder, "extra_streams", ())
    }
    for dataset in datasets:
        assert set(dataset.pipeline[-1].streams) == streams
        assert (dataset.questions is None) == ("text" not in streams)


def test_every_row_of_tables_1_and_3_has_its_config():
    stems = {Path(name).stem for name in CONFIGS}
    assert {f"mambavl_{size}_ek100" for size in ("base", "large", "orvit")} <= stems
    assert {f"video_only_{size}_ek100" for size in ("base", "large", "orvit")} <= stems
    fusers = ("mlp", "transformer_6x4", "transformer_12x12")
    assert {f"{fuser}_orvit_ek100" for fuser in fusers} <= stems
    assert {f"{fuser}_orvit_ek100_tokens" for fuser in fusers[1:]} <= stems
