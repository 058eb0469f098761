"""From a folder to a page; the trainings and the hand models are stand-ins."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from mmfusion.analysis.experiments import read_config
from mmfusion.analysis.own_clips import data as own_data
from mmfusion.datasets.annotation import load_annotation, write_annotation
from mmfusion.datasets.caches.skeleton_cache import write_skeleton_cache
from mmfusion.datasets.media.video_preparation import process
from mmfusion.engine.launch.config_check import known_keys
from mmfusion.engine.launch.config_compare import comparable_config
from mmfusion.engine.runner.checkpoints import save_atomic
from mmfusion.engine.runner.work_dir import CONFIG_MARK
from mmfusion.evaluation.predictions import save_predictions
from mmfusion.hands import HandModelError, HandTracks
from mmfusion.utils.commands import errors_in_one_line
from tests.analysis.made_runs import made_predictions
from tests.configs.custom_files import write_custom
from tests.tools.analysis.test_table import parse_command
from tests.tools.command import main_of
from tests.video_files import write_video
from tools.data.custom import prepare

main = main_of("try")
KINDS = ["wave", "point"]
_TOP1 = {"mean": 50.0, "low": 9.5, "high": 90.5}
RELIANCE = [
    {
        "task": "action",
        "way": "swapped",
        "results": [
            {"kept": ["video"], "accuracy": _TOP1, "minus_all": _TOP1, "p_holm": 0.5}
        ],
    }
]


class Tools:
    """Stands in for train.py and test.py; every answer is class 0."""

    def __init__(self, fail_at=None):
        self.done, self.fail_at = [], fail_at

    def __call__(self, command, log, on_text):
        if Path(command[1]).stem == "stream_reliance":
            folder = Path(command[2], "reliance")
            folder.mkdir()
            (folder / "reliance.json").write_text(json.dumps(RELIANCE))
            return 0
        args, kind = parse_command(command), Path(command[1]).stem
        self.done.append((kind, Path(args.config).stem))
        log.write_text("line of the log\n")
        if self.fail_at == len(self.done):
            return 1
        if kind == "train":
            made = read_config(Path(args.config), args.cfg_options, args.work_dir)
            settings = json.dumps(comparable_config(made))
            state = {"meta": {"settings": settings}, "state_dict": {"w": np.zeros(1)}}
            save_atomic(own_tensors(state), args.work_dir / "best.pth")
            for key in made.to_dict().keys() - known_keys():
                made.pop(key)
            text = f"{CONFIG_MARK}\n{made.pretty_text}"
            (args.work_dir / Path(args.config).name).write_text(text)
            done = '{"epoch": 3, "iter": 30, "best": null}'
            (args.work_dir / "finished.json").write_text(done)
        else:
            root = Path(args.cfg_options["train_dataloader.dataset.data_root"])
            meta, records = load_annotation(str(root / "annotation.json"), "test")
            classes = meta["classes"]["action"]
            labels = [record["label"]["action"] for record in records]
            ids = [record["id"] for record in records]
            own = made_predictions(ids, labels, [0] * len(ids), classes)
            save_predictions(args.dump, own)
        return 0


def own_tensors(state):
    """The state with a tensor for each array."""
    import torch

    weights = {key: torch.from_numpy(x) for key, x in state["state_dict"].items()}
    return {**state, "state_dict": weights}


class Extractor:
    """Stands in for MediaPipe: a left hand in every frame, or none."""

    found = True

    def __init__(self, models=None, *, one_hand=False):
        self.one_hand = one_hand
        if models == Path("no network"):
            raise HandModelError("the models cannot be fetched")

    def __call__(self, frames):
        total = len(list(frames))
        valid = np.zeros((total, 2), bool)
        valid[:, 0] = self.found
        spread = np.linspace(0.2, 0.8, 21)
        joints = np.zeros((total, 2, 21, 3), np.float32)
        joints[..., 0] = joints[..., 1] = spread
        score = valid.astype(np.float32)
        tracks = HandTracks(
            joints * valid[..., None, None], valid, score, np.arange(total)
        )
        return tracks.as_one_hand() if self.one_hand else tracks


@pytest.fixture(autouse=True)
def extractor(monkeypatch):
    class Own(Extractor):
        pass

    def run_here(jobs, settings, *, num_workers):
        return [process(job, settings) for job in jobs]

    monkeypatch.setattr(own_data, "MediaPipeHands", Own)
    monkeypatch.setattr(own_data, "run_jobs", run_here)  # no process for each video
    return Own


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Four clips of two classes, of two sizes."""
    folder = tmp_path_factory.mktemp("clips")
    for number, kind in enumerate(KINDS):
        (folder / kind).mkdir()
        for clip in range(4):
            size = (64, 48) if clip % 2 else (48, 96)
            write_video(folder / kind / f"{clip}.mp4", 6 + number, size=size)
    return folder


def run(folder, out, tools=None, *arguments):
    given = [str(folder), "--out", str(out), "--jobs", "1", *map(str, arguments)]
    return main(given, tools or Tools())


def test_one_command_makes_the_page_and_continues_where_it_failed(
    clips, tmp_path, capsys
):
    out, tools = tmp_path / "out", Tools(fail_at=4)
    assert run(clips, out, tools) == 1
    assert "line of the log" in capsys.readouterr().err
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.mp4")}
    assert len(made) == 8 and not (out / "page.html").exists()
    tools.fail_at = None
    assert run(clips, out, tools) == 0
    names = ["video_mamba", "skeleton_mamba", "cls_mix_average"]
    steps = [(kind, name) for name in names for kind in ("train", "test")]
    assert tools.done == steps[:4] + steps[3:]
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert run(clips, out, tools) == 0
    assert len(tools.done) == 7  # nothing twice
    text = (out / "page.html").read_text()
    for part in (
        "Average fusion",
        "Without a stream",
        "Average fusion: RGB",
        "Hands by MediaPipe",
        "data:image/jpeg",
        "Only 2",
    ):
        assert part in text
    assert "class by class" in text and str(clips.name) in text
    assert "on the originals their scores differ" in text
    assert (out / "hands" / KINDS[0] / "0.npz").is_file()
    capsys.readouterr()
    hands = ["--out", str(tmp_path / "p"), "--hands", str(out / "hands"), "--dry-run"]
    assert prepare.main([str(clips), *hands]) == 0  # each step is usable alone
    told = capsys.readouterr().out
    assert "hand valid, left: 100.00 %" in told and "without landmarks" not in told


def test_two_videos_of_one_name_are_told(clips, tmp_path, capsys):
    folder = tmp_path / "clips"
    shutil.copytree(clips, folder)
    shutil.copy(folder / "wave/0.mp4", folder / "wave/0.mov")
    assert run(folder, tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert "wave/0.mov and wave/0.mp4 differ only in their ending" in told
    valid = np.ones((6, 2), bool)
    write_skeleton_cache(
        tmp_path / "hands/wave/0.npz",
        keypoint=np.full((6, 2, 21, 3), 0.5, np.float32),
        valid=valid,
        frame_id=np.arange(6),
        fps=10.0,
        sequence="0",
    )
    options = ["--layout", "mediapipe", "--unit", "image", "--skeletons", "left,right"]
    data = ["--out", str(tmp_path / "p"), "--hands", str(tmp_path / "hands")]
    assert prepare.main([str(folder), *data, *options]) == 1
    told = capsys.readouterr().out
    assert "0.mov and wave/0.mp4 would both have the landmarks" in told


def test_without_a_hand_anywhere_rgb_alone_is_trained(
    clips, tmp_path, extractor, capsys
):
    extractor.found, tools = False, Tools()
    assert run(clips, tmp_path / "out", tools) == 0
    assert {name for _, name in tools.done} == {"video_mamba"}
    assert "No hand was found" in (tmp_path / "out/page.html").read_text()


def test_one_hand_has_a_single_place(clips, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(clips, out, None, "--one-hand") == 0
    annotation = json.loads((out / "annotation.json").read_text())
    assert annotation["metainfo"]["skeleton"]["hands"] == ["hand"]
    assert "one in 100 %" in (out / "page.html").read_text()
    assert run(clips, out) == 2
    assert "with --one-hand; give another --out" in capsys.readouterr().err


def test_without_hand_models_the_page_says_why(clips, tmp_path):
    tools = Tools()
    assert run(clips, tmp_path / "o", tools, "--models", "no network") == 0
    assert {name for _, name in tools.done} == {"video_mamba"}
    assert "the models cannot be fetched" in (tmp_path / "o/page.html").read_text()


def test_landmarks_without_videos_train_hands_alone(tmp_path):
    write_custom(tmp_path / "mine")
    tools = Tools()
    assert run(tmp_path / "mine", tmp_path / "out", tools) == 0
    assert {name for _, name in tools.done} == {"skeleton_mamba"}
    assert "data:image/jpeg" in (tmp_path / "out/page.html").read_text()


def test_parts_of_a_video_are_clips_and_the_page_warns(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    for kind in KINDS:
        write_video(folder / f"{kind}.mp4", 10)
    rows = "".join(f"{kind}.mp4,{kind}\n" for kind in KINDS)
    (folder / "clips.csv").write_text(f"video,label\n{rows}")
    assert run(folder, tmp_path / "out", None, "--parts", 5, "--no-hands") == 0
    _, records = load_annotation(str(tmp_path / "out/annotation.json"))
    assert [record["split"] for record in records[:5]] == ["train"] * 3 + [
        "val",
        "test",
    ]
    assert [record["start_sec"] for record in records[:2]] == [0.0, 0.2]
    text = (tmp_path / "out/page.html").read_text()
    assert "say nothing about new videos" in text


def test_a_dry_run_writes_nothing(clips, tmp_path, capsys):
    assert run(clips, tmp_path / "out", None, "--dry-run", "--parts", 3) == 0
    assert not (tmp_path / "out").exists()
    assert "min in all" in capsys.readouterr().out


def _csv(text):
    def make(folder):
        (folder / "clips.csv").write_text(text)

    return make


def _unlabelled(folder):
    write_custom(folder)
    meta, records = load_annotation(str(folder / "annotation.json"))
    for record in records:
        record["label"] = {}
    write_annotation(folder / "annotation.json", meta, records)


def _broken(folder):
    for kind in KINDS:
        (folder / kind).mkdir()
        for clip in range(2):
            (folder / kind / f"{clip}.mp4").write_bytes(b"no video")


CASES = {
    "empty": (lambda folder: None, "has neither clips.csv nor a video"),
    "no-video-stream": (_broken, "point/0.mp4"),
    "wrong-column": (_csv("vidoe,label\na.mp4,x\n"), "'vidoe'"),
    "no-labels": (_unlabelled, "have no label"),
}


@pytest.mark.parametrize(("make", "message"), CASES.values(), ids=CASES)
def test_bad_data_is_one_line(tmp_path, capsys, make, message):
    folder = tmp_path / "clips"
    folder.mkdir()
    make(folder)
    assert run(folder, tmp_path / "out") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and message in err


@pytest.mark.parametrize(
    ("labels", "splits", "message"),
    [
        ("xxxx", None, "all 4 clips have one class"),
        ("xxxy", None, "leave the class out; or give --parts 5"),
        ("xxyy", ["train"] * 4, "all 4 clips are in the split 'train'"),
    ],
    ids=["one-class", "one-clip", "one-split"],
)
def test_clips_that_cannot_be_tested_are_refused(
    clips, tmp_path, capsys, labels, splits, message
):
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.mp4").symlink_to(clips / f"wave/{number}.mp4")
    splits = splits or [""] * 4
    rows = [
        f"{n}.mp4,{x},{y}" for n, (x, y) in enumerate(zip(labels, splits, strict=True))
    ]
    (folder / "clips.csv").write_text("\n".join(["video,label,split", *rows]))
    assert run(folder, tmp_path / "out") == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "arguments", "message"),
    [
        ("clips/out", (), "would be taken for clips"),
        ("my out", (), "cannot have"),
        ("out", ("--parts", 2), "expected 3 or more"),
    ],
)
def test_options_that_cannot_work_are_refused(
    tmp_path, capsys, out, arguments, message
):
    (tmp_path / "clips").mkdir()
    assert run(tmp_path / "clips", tmp_path / out, None, *arguments) == 2
    assert message in capsys.readouterr().err


def test_runs_of_other_clips_are_not_taken_for_those_of_these(clips, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(clips, out, None, "--no-hands") == 0
    assert run(clips, out, None, "--no-hands", "--seed", 3) == 2
    assert "give another --out" in capsys.readouterr().err


def test_ctrl_c_is_one_line_also_while_it_imports(tmp_path, capsys, monkeypatch):
    class Stopping:
        def find_spec(self, name, *_):
            if name == "mmfusion.analysis.own_clips":
                raise KeyboardInterrupt

    monkeypatch.setattr("sys.meta_path", [Stopping(), *sys.meta_path])
    for name in [one for one in sys.modules if one.startswith(own_data.__package__)]:
        monkeypatch.delitem(sys.modules, name)
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err == "stopped; the same command continues\n"


def test_ctrl_c_of_any_tool_is_one_line(capsys):
    @errors_in_one_line
    def tool():
        raise KeyboardInterrupt

    assert tool() == 130
    assert capsys.readouterr().err == "stopped\n"
