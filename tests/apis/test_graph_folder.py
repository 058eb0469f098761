"""Models as graphs: any number of clips, equal scores, no mmfusion to run them."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from torch.export import Dim

from mmfusion.apis import graph_folder, load_model
from mmfusion.apis.graph import export_program
from mmfusion.apis.graph_folder import TOLERANCE, write_graph_folder
from mmfusion.models import SAFuser
from mmfusion.models.backbones.video_mamba import ARCHITECTURES
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import ExportError, InputError
from tests.apis.small import CLASSES, batch, write_checkpoint

# the script of a format, where mmfusion cannot be imported
ALONE = """
import runpy, sys
sys.modules["mmfusion"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A fused model of two blocks."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "nano", dict(embed_dims=64, depth=1))
        write_checkpoint(folder / "best.pth")
        return load_model(folder / "best.pth")


@pytest.fixture(scope="module")
def traced(loaded):
    """The program, which takes longest, for both formats."""
    return export_program(loaded.model, {n: x[:, 0] for n, x in batch(2).items()})


@pytest.fixture(scope="module", params=["pt2", "onnx"])
def exported(request, loaded, traced, tmp_path_factory):
    """A format, its folder, and what the export said; real clips are random here."""
    kind, real = request.param, {name: x[:, 0] for name, x in batch(2).items()}
    out = tmp_path_factory.mktemp(kind) / "graph"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_folder, "export_program", lambda *_: traced)
        return kind, out, write_graph_folder(loaded, out, kind, "mit", real)


def test_a_graph_has_the_models_scores_for_another_number_of_clips(exported):
    _, _, lines = exported
    assert [line.split(":")[0] for line in lines] == [
        "random inputs, 3 clips",
        "real inputs, 2 clips",
    ]
    assert all(float(line.split()[-1]) <= TOLERANCE for line in lines)


def test_a_graph_is_made_of_common_operators(exported):
    kind, folder, _ = exported
    if kind == "onnx":
        model = onnx.load(folder / "model.onnx")
        assert {node.domain for node in model.graph.node} == {""}
        assert not model.functions
        assert "Scan" in {node.op_type for node in model.graph.node}
        return
    names = {
        node.target.namespace
        for node in torch.export.load(folder / "model.pt2").graph.nodes
        if isinstance(node.target, torch._ops.OpOverload)
    }
    assert names == {"aten"}


def test_the_folder_says_what_is_free_and_how_equal_it_is(exported):
    kind, folder, _ = exported
    about = json.loads((folder / "graph.json").read_text())
    assert about["classes"] == CLASSES
    assert about["inputs"]["video"]["shape"] == ["any", 3, 2, 32, 32]
    assert about["inputs"]["skeleton_mask"] == {
        "dtype": "bool",
        "shape": ["any", 4, 42],
    }
    assert about["parity"]["real"]["largest_difference"] <= TOLERANCE
    text = (folder / "README.md").read_text()
    assert "license: mit" in text and "scores differ by at most" in text
    assert f"python run_{kind}.py" in text and "load_model(" not in text


@pytest.mark.slow
def test_the_script_runs_where_mmfusion_is_not(exported):
    kind, folder, _ = exported
    if kind == "pt2":
        pytest.skip("it would import torch again; its operators are looked at above")
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(folder / f"run_{kind}.py")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first.startswith("action: 0.") and any(c in first for c in CLASSES["action"])
    assert float(last.split()[-1]) <= TOLERANCE


def test_scores_that_differ_leave_nothing(loaded, traced, tmp_path, monkeypatch):
    def wrong(path):
        return lambda inputs: [np.full((3, 3), 1 / 3)]

    monkeypatch.setattr(graph_folder, "open_graph", wrong)
    monkeypatch.setattr(graph_folder, "export_program", lambda *_: traced)
    monkeypatch.setattr(graph_folder, "save_pt2", lambda program, path: path.touch())
    with pytest.raises(ExportError, match="other scores than the model on random"):
        write_graph_folder(loaded, tmp_path / "graph", "pt2")
    assert [*tmp_path.iterdir()] == []


def test_what_cannot_be_traced_is_one_line(loaded, tmp_path, monkeypatch):
    def refuse(*_):
        raise RuntimeError("data dependent\n  and more")

    monkeypatch.setattr(torch.export, "export", lambda *_, **__: refuse())
    with pytest.raises(ExportError, match="cannot be traced: RuntimeError: data") as e:
        write_graph_folder(loaded, tmp_path / "graph", "pt2")
    assert "\n" not in str(e.value)


def test_a_model_of_boxes_is_refused(loaded, tmp_path, monkeypatch):
    video = loaded.model.encoders["video"]
    monkeypatch.setattr(video, "extra_streams", ("boxes",), raising=False)
    with pytest.raises(ExportError, match=r"reads \['boxes'\] too, .*--format model"):
        write_graph_folder(loaded, tmp_path / "graph", "onnx")


def test_moments_are_fused_in_a_graph_of_any_number_of_clips():
    fuser = SAFuser(dict(rgb=8), 8, depth=1).eval()
    graph = Moments(fuser)
    dims = (dict.fromkeys(range(2), Dim.AUTO),)
    program = torch.export.export(
        graph, (torch.zeros(2, 3, 8),), dynamic_shapes=dims
    ).module()
    assert program(torch.zeros(4, 5, 8)).shape == (4, 5, 8)


class Moments(torch.nn.Module):
    def __init__(self, fuser):
        super().__init__()
        self.fuser = fuser

    def forward(self, x):
        return self.fuser({"rgb": TokenFeatures(x)}).tokens


def test_an_output_folder_with_files_is_refused_first(loaded, tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(InputError, match="not empty; give another --out"):
        write_graph_folder(loaded, tmp_path, "pt2")
