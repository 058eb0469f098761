"""A config of each part that models are made of, on a GPU without content."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmfusion.registry import MODELS
from mmfusion.structures import ActionDataSample
from tests.campaigns import fake_gpu
from tests.campaigns.fake_gpu import FakeGpu, trial
from tests.configs.loaded import load
from tests.configs.test_configs import CONFIGS

NAMES = (
    "custom/dd_net.py",
    "demo/cls_mix_gated_nano_tinyego.py",
    "distill/distill_all_nano_tinyego_96.py",
    "egogestar/cls_mix_context_nano_egogestar.py",
    "egogestar/cls_mix_naive_nano_egogestar.py",
    "egogestar/cls_mix_weighted_nano_egogestar.py",
    "egogestar/shared_a_fusion_nano_egogestar.py",
    "egogestar/transformer_fusion_nano_egogestar.py",
    "mambavl/coupled_mamba_nano_tinyego_informative.py",
    "mambavl/cross_modal_scan_nano_tinyego_informative.py",
    "mambavl/mamba2_nano_tinyego_informative.py",
    "pretrained/videomae_base_lora_custom.py",
    "recognition/avion_base_ek100.py",
    "recognition/lavila_base_ek100_action_only.py",
    "recognition/motionformer_base_ek100.py",
    "recognition/orvit_base_ek100.py",
    "streams/action_mae_average_nano_tinyego.py",
    "streams/missing_average_nano_egogestar.py",
    "streams/online_fusion_nano_tinyego.py",
    "systems/afft_nano_tinyego_anticipation.py",
    "systems/avt_nano_tinyego_anticipation.py",
    "systems/inavit_nano_tinyego_anticipation.py",
    "systems/memvit_nano_tinyego_anticipation.py",
    "systems/omnivore_base_ek100.py",
    "unimodal/stgcn_natops.py",
)
# in no config, or in one of data that are made first
NOT_RUN = {
    "AnswerHead", "CachedEncoder", "HashedWords", "LastBlocks", "MMActionBackbone",
    "TextEmbedder", "VJEPA21",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.parametrize("name", NAMES)
def test_a_model_and_its_losses_stay_on_the_gpu(name: str, tmp_path: Path) -> None:
    assert trial(CONFIGS.index(name), None, tmp_path).endswith("waits")


def test_these_have_every_part() -> None:
    used = {
        part.rpartition(".")[2] for name in NAMES for part in _types(load(name).model)
    }
    ours = {
        name
        for name, kind in MODELS.module_dict.items()
        if kind.__module__.startswith("mmfusion.")
    }
    assert ours - used <= NOT_RUN


def _types(config: object) -> set[str]:
    if isinstance(config, dict):
        kind = config.get("type")
        own = {kind if isinstance(kind, str) else kind.__name__} if kind else set()
        return own.union(*map(_types, config.values()))
    if isinstance(config, list | tuple):
        return set().union(*map(_types, config))
    return set()


class Faulty(torch.nn.Module):
    """A model that does with its input what a test says."""

    def __init__(self, fault) -> None:
        super().__init__()
        self.fault, self.heads = fault, {"action": SimpleNamespace(num_classes=3)}

    def data_preprocessor(self, batch, training=False):
        return batch

    def forward(self, inputs, data_samples, mode):
        score = self.fault(inputs["video"].to("cuda:0"))
        return [ActionDataSample(score_action=score)]


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (lambda x: x + torch.ones(2), RuntimeError, "devices, cuda:0 and cpu"),
        (lambda x: x if x.sum() > 0 else -x, AssertionError, "waited for: __bool__"),
        (lambda x: torch.zeros(len(x)), AssertionError, "score_action is on cpu"),
    ],
    ids=["mixed", "waits", "result"],
)
def test_a_fault_is_seen(fault, error, said) -> None:
    batch = dict(inputs=dict(video=torch.ones(2, 1, 1, 2)))
    batch["data_samples"] = [ActionDataSample()]
    with FakeGpu(), torch.no_grad(), pytest.raises(error, match=said):
        fake_gpu.call_both_ways(Faulty(fault), batch)
