"""A model as a folder: equal scores, nothing believed that was changed, and the hub."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import pytest
import torch

from mmfusion.apis import load_model
from mmfusion.apis.folder import new_folder
from mmfusion.apis.model_card import model_card
from mmfusion.apis.model_folder import push_folder, write_model_folder
from mmfusion.engine.launch.config_data import build_model
from mmfusion.engine.runner.checkpoints import save_atomic
from mmfusion.utils.errors import CheckpointError, ConfigError, InputError
from tests.apis.small import (
    CLASSES,
    PIPELINE,
    batch,
    card,
    model_config,
    write_checkpoint,
)
from tests.models.backbones.hf_models import published


@pytest.fixture
def exported(tmp_path):
    """Path of a model folder, and its model."""
    write_checkpoint(tmp_path / "best.pth")
    loaded = load_model(tmp_path / "best.pth")
    write_model_folder(loaded, tmp_path / "model", "mit")
    return tmp_path / "model", loaded


def test_a_folder_gives_the_same_scores_to_the_last_digit(exported):
    folder, loaded = exported
    again = load_model(folder)
    assert again.classes == CLASSES and again.streams == ("video", "skeleton")
    assert again.pipeline == PIPELINE  # tuples, too
    expected = loaded.model(batch())["action"]
    assert torch.equal(again.model(batch())["action"], expected)
    assert again.card["metrics"] == loaded.card["metrics"]
    write_model_folder(again, folder.with_name("again"))
    assert load_model(folder.with_name("again")).classes == CLASSES


def test_the_card_is_one_that_the_hub_reads(exported):
    folder, _ = exported
    found = huggingface_hub.ModelCard.load(folder / "README.md")
    assert found.data.license == "mit" and found.data.library_name == "mmfusion"
    (result,) = found.data.eval_results
    assert (result.dataset_name, result.metric_value) == ("kitchen", 75.0)
    assert "| action/top1 | 75.00 | 30.1 to 95.4 | 4 | val |" in found.text
    assert "action (3): cut, wash, dry" in found.text
    assert "by chance, in top1: action 33.3 %." in found.text


def test_the_card_of_an_anticipation_says_so():
    metrics = {
        "unseen/action/top1": dict(value=20.0, low=15.4, high=25.5, n=240, split="val"),
        "action/recall5": dict(value=30.0, low=None, high=None, n=240, split="val"),
    }
    sampler = dict(type="mmfusion.SampleObservedFrames", tau_a=0.5)
    text = model_card(card(metrics=metrics, pipeline=[sampler]), "x")
    assert "Anticipates actions 0.5 s ahead from" in text
    assert "| unseen/action/top1 | 20.00 | - | - | val |" in text
    assert "action/recall5 | 30.00 | - | 240" in text


def test_a_merged_model_needs_no_base(tmp_path):
    base = tmp_path / "base"
    published(base, "videomae")
    video = dict(type="HFVideoEncoder", pretrained=str(base), mode="tuned")
    video["tuning"] = dict(type="LoRA", rank=2)
    probe = dict(type="AttentiveProbe", embed_dims=16, num_heads=2)
    head = dict(type="ClassificationHead", num_classes=3, in_dims=16)
    config = model_config(
        encoders=dict(video=video), neck=probe, heads=dict(action=head)
    )
    model = build_model(config, "a test")
    model.init_weights()
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value)  # zero at the start
    content = {"meta": {"card": card(config)}, "state_dict": model.state_dict()}
    save_atomic(content, tmp_path / "best.pth")
    loaded = load_model(tmp_path / "best.pth")
    clip = {"video": torch.randn(2, 1, 3, 4, 32, 32)}
    wanted = loaded.model(clip)["action"]
    write_model_folder(loaded, tmp_path / "needs")
    assert (
        f"needs the weights of `{base}`" in (tmp_path / "needs/README.md").read_text()
    )
    write_model_folder(loaded, tmp_path / "merged", merged=True)
    assert "weights of `video` are in" in (tmp_path / "merged/README.md").read_text()
    base.rename(tmp_path / "gone")
    again = load_model(tmp_path / "merged")
    assert not any("lora" in name for name in again.model.state_dict())
    scores = again.model(clip)["action"]
    torch.testing.assert_close(scores, wanted, rtol=0, atol=1e-6)


def test_nothing_to_merge_is_said(exported):
    folder, loaded = exported
    with pytest.raises(InputError, match="none of them a published model"):
        write_model_folder(loaded, folder.with_name("merged"), merged=True)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "README.md"])
def test_a_changed_byte_or_a_missing_file_is_one_line(exported, name):
    folder, _ = exported
    path = folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name} is damaged or was changed"):
        load_model(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        load_model(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(format=7), "manifest.json has format 7, this version .* reads 1"),
        (
            dict(kind="mmfusion onnx"),
            "is of a mmfusion onnx, expected",
        ),
        (dict(sha256={"../a": ""}), r"names '../a': it has '..'"),
        (dict(sha256=3), "expected a mmfusion model"),
    ],
)
def test_a_wrong_manifest_is_one_line(exported, change, message):
    folder, _ = exported
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CheckpointError, match=message):
        load_model(folder)


def test_an_unknown_type_is_named_before_anything_is_built(tmp_path):
    strange = card()
    strange["model"]["neck"]["mix"] = {"type": "os.system", "command": "touch x"}
    with new_folder(tmp_path / "model", "mmfusion model") as folder:
        (folder / "config.json").write_text(json.dumps(strange))
    with pytest.raises(
        ConfigError, match=r"config.json: model.neck.mix.type is 'os.sy"
    ):
        load_model(tmp_path / "model")


def test_a_folder_without_a_pipeline_is_refused(tmp_path):
    with new_folder(tmp_path / "model", "mmfusion model") as folder:
        (folder / "config.json").write_text(json.dumps(card(pipeline=[])))
    with pytest.raises(CheckpointError, match=r"config.json: its pipeline is empty"):
        load_model(tmp_path / "model")


def test_nothing_is_half_written_or_overwritten(tmp_path, exported):
    folder, loaded = exported
    with pytest.raises(InputError, match="a folder that is not empty"):
        write_model_folder(loaded, folder)
    loaded.card["model"]["type"] = "my.Model"
    with pytest.raises(ConfigError, match="model.type is 'my.Model'"):
        write_model_folder(loaded, tmp_path / "other")
    with pytest.raises(RuntimeError), new_folder(tmp_path / "other", "x") as half:
        (half / "a").touch()
        raise RuntimeError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pth", "model"]


@contextmanager
def hub(monkeypatch, answers):
    """A server at the hub's border; yields what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append((self.path, body))
            last = self.path.split("?")[0].rstrip("/").split("/")
            status, answer = next(
                found for key, found in answers.items() if key in last
            )
            if callable(answer):
                answer = answer(json.loads(body))
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(huggingface_hub.hf_api, "get_token", lambda: "hf_x")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def as_regular(body):
    files = [
        {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
        for one in body["files"]
    ]
    return {"files": files}


def test_a_folder_is_pushed_as_it_is(exported, monkeypatch):
    folder, _ = exported
    commit = "https://huggingface.co/me/kitchen/commit/1"
    answers = {
        "create": (
            200,
            {"url": "https://huggingface.co/me/kitchen", "id": "me/kitchen"},
        ),
        "validate-yaml": (200, {"errors": [], "warnings": []}),
        "preupload": (200, as_regular),
        "commit": (200, {"commitUrl": commit, "commitOid": "1", "success": True}),
    }
    with hub(monkeypatch, answers) as asked:
        assert push_folder(folder, "me/kitchen", private=True) == commit
    assert b"private" in asked[0][1]
    lines = [json.loads(line) for line in asked[-1][1].splitlines()]
    sent = {one["value"]["path"] for one in lines if one["key"] == "file"}
    assert sent == {path.name for path in folder.iterdir()}


def test_a_refusal_of_the_hub_is_one_line(exported, monkeypatch):
    folder, _ = exported
    with (
        hub(monkeypatch, {"create": (401, {"error": "no such token"})}),
        pytest.raises(InputError, match="--push me/kitchen: the hub refuses") as caught,
    ):
        push_folder(folder, "me/kitchen")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="--push a/b/c"):
        push_folder(folder, "a/b/c")
