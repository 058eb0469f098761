"""configs/egogestar on an annotation of its form: each builds and takes a step."""

import shutil

import pytest

from mmfusion.analysis.experiments import plan
from mmfusion.engine.launch.completion import complete_config
from mmfusion.engine.launch.config_check import load_config
from mmfusion.registry import MODELS
from tests.configs.custom_files import TWO21, write_custom
from tests.configs.loaded import ROOT
from tests.configs.test_configs import CONFIGS, batch_for

EGOGESTAR = [  # those with a teacher: test_distill_configs.py
    name
    for name in CONFIGS
    if name.endswith("_egogestar.py") and not name.startswith("distill/")
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("egogestar")
    write_custom(root, TWO21 | {"hands": ["hand"]}, by_joint=False, video="a.mp4")
    for number in range(2):
        shutil.copy(root / "annotation.json", root / f"fold{number}.json")
    return root


@pytest.mark.parametrize("name", EGOGESTAR)
def test_each_takes_a_step(data, name):
    options = {"train_dataloader.dataset.data_root": str(data)}
    config = load_config(ROOT / name, options)
    complete_config(config)
    assert config.test_dataloader.dataset.ann_file == "fold0.json"
    assert config.val_dataloader.dataset.split == "val"
    assert "egogestar/prepare.py" in config.train_dataloader.dataset.made_by
    model = MODELS.build(config.model)
    if "stgcn" in name:
        model.encoders["skeleton"].input_shape = (32, 21, 3)
    losses = model(**model.data_preprocessor(batch_for(model, 3), True), mode="loss")
    sum(v for k, v in losses.items() if "loss" in k).backward()
    trained = model.encoders if model.neck is None else {"neck": model.neck}
    for part in [*trained.values(), *model.heads.values()]:
        assert any(p.grad is not None for p in part.parameters())


def test_fusions_start_from_the_streams_of_their_fold(data):
    mixes = [ROOT / name for name in EGOGESTAR if "cls_mix" in name]
    found = plan(mixes, data_root=data, folds=2)
    assert [one.name for one in found][:2] == [
        "video_mamba_nano_egogestar",
        "skeleton_mamba_nano_egogestar",
    ]
    assert len(found) == 6 and all(len(one.stage1) == 2 for one in found[2:])
