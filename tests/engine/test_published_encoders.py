"""Runs with published encoders: stopped and continued, and what is left of them."""

import pytest
import torch
from torch.utils.data import Dataset

from mmfusion.datasets import SampleKey
from mmfusion.engine import FusionRunner
from mmfusion.engine.launch.start import prepare_work_dir
from mmfusion.registry import DATASETS, MODELS
from mmfusion.structures import ActionDataSample
from mmfusion.utils.errors import CheckpointError
from mmfusion.weights.files import load_checked
from tests.engine.toy_runs import CONFIG, differences, toy_config
from tests.models.backbones.hf_models import ROBERTA, published
from tests.models.layers.test_tuning import save_text

RUN = """
_base_ = "{base}"
custom_imports = dict(
    imports=["tests.engine.toy", "tests.engine.test_published_encoders"],
    allow_failed_imports=False,
)
model = dict(
    _delete_=True,
    type="MultiModalRecognizer",
    encoders=dict(
        video=dict(
            type="HFVideoEncoder",
            pretrained="{folder}/video",
            mode="tuned",
            tuning=dict(type="LoRA", rank=2, dropout=0.1),
        ),
        text=dict(
            type="TextEncoder",
            pretrained="{folder}/text",
            hf_config={roberta},
            mode="tuned",
            tuning=dict(type="LastBlocks"),
        ),
    ),
    neck=dict(
        type="AttentiveProbe",
        embed_dims=16,
        num_heads=2,
        streams=dict(video={{}}, text={{}}),
    ),
    heads=dict(action=dict(type="ClassificationHead", num_classes=3, in_dims=16)),
)
train_dataloader = dict(dataset=dict(type="ToyClips", size=8))
val_dataloader = dict(dataset=dict(type="ToyClips", size=4))
test_dataloader = val_dataloader
custom_hooks = [dict(type="EMAHook", momentum=0.1)]
"""


@DATASETS.register_module()
class ToyClips(Dataset):
    """Noise whose brightness is the class, and a question."""

    def __init__(self, size):
        self.size = size
        self.metainfo = {"classes": {"action": ["dark", "grey", "light"]}}

    def __len__(self):
        return self.size

    def digest(self):
        return "clips"

    def __getitem__(self, key):
        index = key.index if isinstance(key, SampleKey) else key
        random = torch.Generator().manual_seed(index)
        video = torch.randint(0, 80, (1, 3, 4, 32, 32), generator=random)
        sample = ActionDataSample(metainfo={"sample_id": f"clip-{index}"})
        sample.gt_action = torch.tensor(index % 3)
        inputs = {
            "video": (video + 80 * (index % 3)).to(torch.uint8),
            "text": torch.randint(3, 40, (1, 1, 5), generator=random),
        }
        return {"inputs": inputs, "data_samples": sample}


def run(work_dir, config_file, stop_at=None):
    config = toy_config(work_dir, path=config_file)
    if prepare_work_dir(config, None):
        return None
    runner = FusionRunner.from_cfg(config)
    if stop_at is not None:
        runner.register_hook(dict(type="SignalAt", stage="iter", at=stop_at))
    runner.train()
    return runner


@pytest.fixture
def config_file(tmp_path):
    for name in ("video", "text"):
        (tmp_path / name).mkdir()
    published(tmp_path / "video", "videomae")
    save_text(tmp_path / "text", 7)

    path = tmp_path / "run.py"
    path.write_text(RUN.format(base=CONFIG, folder=tmp_path, roberta=ROBERTA))
    return path


def test_a_stopped_run_continues_bitwise_with_what_it_trained(tmp_path, config_file):
    whole = run(tmp_path / "whole", config_file)
    run(tmp_path / "stopped", config_file, stop_at=3)
    run(tmp_path / "stopped", config_file)
    paths = [tmp_path / name / "epoch_3.pth" for name in ("whole", "stopped")]
    assert differences(*paths) == []
    state = load_checked(paths[0])["state_dict"]
    trained = {
        name for name, p in whole.bare_model.named_parameters() if p.requires_grad
    }
    digests = {f"encoders.{name}.base_digest" for name in ("video", "text")}
    assert state.keys() == trained | digests
    model = MODELS.build(toy_config(tmp_path, path=config_file).model)
    model.load_state_dict(state)  # as a test does: no init_weights before
    bases = model.encoders["video"].model.state_dict()
    for name, value in whole.bare_model.encoders["video"].model.state_dict().items():
        if f"encoders.video.model.{name}" not in trained:
            assert torch.equal(value, bases[name]), name


def test_another_base_is_refused_by_name(tmp_path, config_file):
    run(tmp_path / "run", config_file, stop_at=3)
    published(tmp_path / "video", "videomae", seed=8)
    with pytest.raises(CheckpointError, match=rf"weights than {tmp_path / 'video'} "):
        run(tmp_path / "run", config_file)
