"""The converter as a user runs it, on files of nano models."""

import pytest
import torch
from safetensors.torch import load_file

from mmfusion.models import CLIPViT, VideoMamba
from mmfusion.weights import Pretrained
from tests.tools.command import run_tool

NANO = ["--arch", "nano", "--img-size", "32", "--num-frames", "4"]
SIZES = dict(arch="nano", img_size=32, num_frames=4)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A tool that is called in the test's folder."""
    monkeypatch.chdir(tmp_path)
    return lambda tool, *args: run_tool(f"converters/{tool}", *args)


def test_there_and_back(run, tmp_path):
    state = VideoMamba(**SIZES).state_dict()
    state |= {"head.weight": torch.randn(5, 64), "head.bias": torch.randn(5)}
    torch.save({"model": state}, tmp_path / "in.pth")
    there = run(
        "convert",
        "VideoMamba",
        "in.pth",
        "a.safetensors",
        *NANO,
        "--head",
        "action=5",
    )
    assert there.returncode == 0, there.stderr
    assert f"{len(state)} tensors loaded" in there.stderr
    ours = load_file(tmp_path / "a.safetensors")
    assert torch.equal(ours["heads.action.fc.bias"], state["head.bias"])
    back = run("convert", "VideoMamba", "a.safetensors", "back.pth", "--back")
    assert back.returncode == 0, back.stderr
    published = torch.load(tmp_path / "back.pth", weights_only=True)["model"]
    assert published.keys() == state.keys()
    assert all(torch.equal(published[key], state[key]) for key in state)


def test_other_families_and_errors(run, tmp_path):
    model = CLIPViT(**SIZES)
    state = {f"module.visual.{k}": v for k, v in model.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "in.pt")
    done = run("convert", "CLIPViT", "in.pt", "out.safetensors", *NANO)
    assert done.returncode == 0, done.stderr
    loaded = CLIPViT(**SIZES)
    Pretrained(str(tmp_path / "out.safetensors"))(loaded)
    assert torch.equal(loaded.class_embedding, model.class_embedding)
    wrong = run("convert", "Motionformer", "in.pt", "wrong.safetensors", *NANO)
    assert wrong.returncode == 3 and "missing in the file" in wrong.stderr
    assert not (tmp_path / "wrong.safetensors").exists()


def test_the_zoo_lists_what_is_asked_for(run):
    done = run("zoo", "ssv2", "tiny", "--csv")
    rows = done.stdout.splitlines()
    assert len(rows) == 4 and "65.1" in rows[1] and "Apache-2.0" in rows[1]
    assert run("zoo", "nothing-like-it").returncode == 1
