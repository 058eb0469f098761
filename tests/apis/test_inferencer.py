"""Labels of new videos: equal to a test's, in windows, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmfusion.apis import Inferencer, LoadedModel
from mmfusion.apis.clip_inputs import _questions
from mmfusion.datasets import MultiModalDataset, fusion_collate
from mmfusion.datasets.annotation import write_annotation
from mmfusion.datasets.caches.skeleton_cache import write_skeleton_cache
from mmfusion.datasets.media.video_io import open_video
from mmfusion.engine.launch.config_data import build_model
from mmfusion.hands import HandTracks
from mmfusion.utils.errors import InputError, MediaError, SkeletonError
from tests.apis.small import CLASSES, METAINFO, PIPELINE, SKELETON, card, model_config
from tests.video_files import write_video

LENS = dict(fx=500, fy=500, cx=32, cy=24, width=64, height=48)
IMAGE = dict(layout="mediapipe", hands=["left", "right"], unit="image", frame="image")
HANDS_ONLY = [{**PIPELINE[0], "num_frames": {"skeleton": 4}}, PIPELINE[2], PIPELINE[5]]
HANDS_ONLY[2] = {**HANDS_ONLY[2], "streams": ("skeleton",)}


def loaded(*, mix="AverageMix", skeleton=SKELETON, pipeline=PIPELINE, streams=None):
    """A model of random weights as load_model gives it."""
    torch.manual_seed(3)
    config = model_config()
    config["neck"]["mix"] = dict(type=mix, embed_dims=64)
    if streams is not None:
        config["encoders"] = {name: config["encoders"][name] for name in streams}
        config["neck"] = None
    made = card(skeleton=skeleton, pipeline=pipeline, model=config)
    made["streams"] = list(config["encoders"])
    model = build_model(config, "a test")
    return LoadedModel(
        model, {}, pipeline, CLASSES, tuple(made["streams"]), made, "best.pth"
    )


def joints(count, start=0.4):
    """(t, 2, 21, 3) hands that move, in fractions of the picture or in metres."""
    shift = np.linspace(0, 0.1, count)[:, None, None, None]
    hand = np.arange(63, dtype=np.float32).reshape(21, 3) / 400 + start
    return (hand + shift + np.zeros((1, 2, 1, 1))).astype(np.float32)


def write_hands(path, count, fps=10.0):
    write_skeleton_cache(
        path,
        keypoint=joints(count),
        valid=np.ones((count, 2), bool),
        frame_id=np.arange(count),
        fps=fps,
        sequence=path.stem,
    )
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video of 5 s with hands beside it."""
    made = tmp_path_factory.mktemp("videos")
    write_video(made / "a.mp4", 50, size=(64, 48), options={"g": "25"})
    write_hands(made / "a.npz", 50)
    return made


@pytest.fixture(scope="module")
def infer():
    return Inferencer(loaded())


def test_a_video_gets_the_scores_of_a_test(folder, infer, tmp_path):
    clip = dict(id="a", video="a.mp4", start_sec=0.0, end_sec=None, label={})
    record = {**clip, "skeleton": {"file": "a.npz"}, "group": "a", "index_fps": 10.0}
    write_annotation(tmp_path / "ann.json", {**METAINFO, "version": 1}, [record])
    dataset = MultiModalDataset(
        str(tmp_path / "ann.json"), PIPELINE, data_root=str(folder), test_mode=True
    )
    with torch.no_grad():
        (expected,) = infer.model.test_step(fusion_collate([dataset[0]]))
    of_file = infer.predict(folder / "a.mp4").whole("action")
    assert np.array_equal(of_file, expected.score_action.numpy())
    dataset.pipeline = []
    assert np.array_equal(infer.predict(dataset[0]).whole("action"), of_file)


def test_results_are_plain_data_with_names_in_order(folder, infer):
    found = infer(folder / "a.mp4", top=2)
    assert json.loads(json.dumps(found)) == found
    (video,) = found["predictions"]
    best = video["scores"]["action"]
    assert [item["class"] in CLASSES["action"] for item in best] == [True, True]
    assert best[0]["score"] > best[1]["score"]
    assert video["hands"] == dict(source=str(folder / "a.npz"), seen=1.0, note=None)
    assert (video["window"], video["whole"], video["end_sec"]) == (None, "one clip", 5)
    assert found["skipped"] == []


def test_the_whole_is_the_mean_of_its_windows(folder, infer):
    found = infer.predict(folder / "a.mp4", window=2, stride=0.8, batch_size=3)
    assert [span.start for span in found.spans] == pytest.approx([0, 0.8, 1.6, 2.4, 3])
    assert found.spans[-1].end == pytest.approx(5)
    rows = found.scores["action"]
    np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-5)
    assert np.array_equal(found.whole("action"), rows.mean(0))
    assert len({row.tobytes() for row in rows}) == 5
    plain = found.to_dict()
    assert plain["whole"] == "mean of the windows" and len(plain["windows"]) == 5
    # one window by itself, read by another reader and in another batch
    alone = infer.predict(folder / "a.mp4", window=2, stride=3, batch_size=1)
    np.testing.assert_allclose(alone.scores["action"][0], rows[0], rtol=1e-5)


def test_only_a_long_video_is_cut_of_itself(folder, infer, tmp_path):
    path = write_video(tmp_path / "long.mp4", 50, [20 * n for n in range(50)])
    auto = infer.predict(path, hands=None)
    assert auto.window == 2 and len(auto.spans) == 17
    assert infer.predict(folder / "a.mp4").window is None
    assert len(infer.predict(path, hands=None, window=None).spans) == 1
    short = infer.predict(folder / "a.mp4", window=60)
    assert len(short.spans) == 1 and "less than the window of 60 s" in short.note


def test_an_array_is_as_good_as_its_file(folder, infer):
    frames = np.stack(list(open_video(folder / "a.mp4").stream()))
    of_array = infer.predict(frames, fps=10, hands=joints(50))
    of_file = infer.predict(folder / "a.mp4")
    assert np.array_equal(of_array.whole("action"), of_file.whole("action"))


def test_weights_of_streams_are_those_of_each_window(folder):
    infer = Inferencer(loaded(mix="ContextMix"))
    found = infer.predict(folder / "a.mp4", window=2, stride=1)
    video, hands = found.weights["video"], found.weights["skeleton"]
    assert video.shape == (4,) and len(set(video.tolist())) > 1
    np.testing.assert_allclose(video + hands, 1, rtol=1e-6)
    without = infer(folder / "a.mp4", hands=None)["predictions"][0]
    assert without["weights"] == {"video": 1.0, "skeleton": 0.0}
    assert "only the other streams count" in without["hands"]["note"]


def test_a_broken_video_is_named_and_the_others_go_on(folder, infer, tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "b.mp4").write_bytes((folder / "a.mp4").read_bytes())
    found = infer(tmp_path, hands=None)
    assert [item["video"] for item in found["predictions"]] == [str(tmp_path / "b.mp4")]
    assert "the file is empty" in found["skipped"][0]["reason"]
    with pytest.raises(MediaError, match=r"empty\.mp4"):
        infer(tmp_path, hands=None, strict=True)
    with pytest.raises(MediaError, match="the file is empty"):
        infer(tmp_path / "empty.mp4")


def test_a_name_that_no_record_may_have_is_skipped(folder, infer, tmp_path):
    for name in ("a.mp4", "new\nline.mp4"):
        (tmp_path / name).symlink_to(folder / "a.mp4")
    found = infer(tmp_path, hands=None)
    assert len(found["predictions"]) == 1
    (skipped,) = found["skipped"]
    assert "new\\nline.mp4" in skipped["reason"] and "rename" in skipped["reason"]


def stub(frames):
    """Hands in every frame."""
    count = sum(1 for _ in frames)
    seen = np.ones((count, 2), bool)
    return HandTracks(joints(count), seen, seen.astype("f4"), np.arange(count))


def test_hands_are_found_in_frames_where_no_file_is(folder, tmp_path):
    path = tmp_path / "b.mp4"
    path.write_bytes((folder / "a.mp4").read_bytes())
    infer = Inferencer(loaded(skeleton=IMAGE), extractor=stub)
    found = infer.predict(path)
    assert found.hands == dict(source="extracted", seen=1.0, note=None)
    (tmp_path / "hands").mkdir()
    write_hands(tmp_path / "hands/b.npz", 50)
    assert infer.predict(path).hands["source"].endswith("hands/b.npz")
    of_folder = infer.predict(path, hands=tmp_path / "hands")
    assert np.array_equal(of_folder.whole("action"), found.whole("action"))


def test_hands_alone_are_enough_for_a_model_of_hands(folder):
    infer = Inferencer(loaded(pipeline=HANDS_ONLY, streams=["skeleton"]))
    of_hands = infer.predict(folder / "a.npz").whole("action")
    assert np.array_equal(of_hands, infer.predict(folder / "a.mp4").whole("action"))
    with pytest.raises(MediaError, match="no hand, and the model reads nothing else"):
        infer.predict(folder / "a.mp4", hands=None)


def test_what_is_foretold_begins_after_the_window(folder):
    sampler = dict(
        type="SampleObservedFrames", num_frames={"video": 2}, tau_a=1.0, tau_o=2.0
    )
    pack = {**PIPELINE[5], "streams": ("video",)}
    pipeline = [{**sampler, "mode": "uniform"}, PIPELINE[1], PIPELINE[3], pack]
    infer = Inferencer(loaded(pipeline=pipeline, streams=["video"]))
    found = infer.predict(folder / "a.mp4", window=9, stride=1)
    assert (found.window, found.ahead, len(found.spans)) == (2.0, 1.0, 4)
    last = infer.predict(folder / "a.mp4", window=None)
    assert (last.spans[0].start, last.spans[0].end) == (3, 5)
    np.testing.assert_allclose(
        last.whole("action"), found.scores["action"][-1], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        (dict(stride=0), InputError, "stride is 0; expected seconds above 0"),
        (dict(window=2, stride=1e-7), InputError, "windows in 5.0 s"),
        (dict(window=-1), InputError, "window is -1"),
        (dict(window="all"), InputError, "window is 'all'"),
        (dict(window=[1]), InputError, r"window is \[1\]; expected seconds"),
        (dict(stride="x"), InputError, "stride is 'x'; expected seconds"),
        (dict(fps=15), InputError, "a.mp4 is no array of frames"),
        (dict(camera={"fx": 1}), InputError, "expected a mapping of fx, fy, cx"),
        (dict(camera=dict(LENS, fx="1")), InputError, "camera's fx is '1'"),
        (dict(camera=LENS), InputError, "the model's pipeline projects no hands"),
        (dict(top=0), InputError, "top is 0"),
        (dict(batch_size=0), InputError, "batch_size is 0"),
        (dict(question="What?"), InputError, "no text; leave it out"),
        (dict(hands=joints(49)), SkeletonError, "49 rows and the video has 50 frames"),
        (dict(hands=joints(50)[..., :2]), SkeletonError, r"expected \(t, h, j, 3\)"),
        (dict(hands=7), InputError, "hands is int"),
        (dict(hands="extract"), SkeletonError, "reads hands of layout openpose21"),
        (dict(hands="no.npz"), SkeletonError, "no.npz"),
        (
            dict(hands=dict(keypoint=joints(80), fps=10)),
            SkeletonError,
            "hands end at 8.00 s .* at 5.00 s",
        ),
    ],
)
def test_wrong_arguments_are_one_line(folder, infer, options, error, match):
    with pytest.raises(error, match=match) as caught:
        infer(folder / "a.mp4", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "options", "match"),
    [
        ([], {}, "expected a path"),
        ([3], {}, "inputs has int 3"),
        (np.zeros((4, 8, 8, 3), np.uint8), {}, "fps is not given"),
        (np.zeros((4, 8, 8, 3)), dict(fps=10), "expected uint8"),
        (np.zeros((4, 8, 8, 3), np.uint8), dict(fps="15"), "fps is '15'"),
        (torch.zeros(4, 8, 8, 3), {}, r"torch.Tensor of the shape \(4, 8, 8, 3\);"),
        ("", {}, "inputs has an empty path"),
        ({"video": "a.mp4"}, {}, "expected what MultiModalDataset"),
    ],
    ids=["nothing", "number", "no-rate", "float", "rate", "tensor", "empty", "object"],
)
def test_what_is_no_video_is_one_line(infer, inputs, options, match):
    with pytest.raises(InputError, match=match):
        infer(inputs, **options)


def test_a_folder_without_videos_is_named(infer, tmp_path):
    with pytest.raises(InputError, match="has no video in it"):
        infer(tmp_path)


def test_features_from_files_are_no_part_of_a_new_video(folder, infer):
    load = dict(type="LoadFeatures", stream="rgb", path="features/rgb", width=8)
    model = replace(infer.loaded, pipeline=[*infer.loaded.pipeline, load])
    with pytest.raises(InputError, match=r"features from files \(rgb\), .*--test-clip"):
        Inferencer(model)(folder / "a.mp4")


def test_a_question_is_asked_of_every_task_or_of_one():
    tasks = ("verb", "noun")
    assert _questions("What now?", tasks) == dict.fromkeys(tasks, "What now?")
    asked = _questions({"noun": "Which one?"}, tasks)
    assert asked["noun"] == "Which one?" and asked["verb"].startswith("What is the")
    for wrong in ("  ", {"action": "a"}, {"verb": ""}, 3):
        with pytest.raises(InputError, match="question"):
            _questions(wrong, tasks)
    with pytest.raises(InputError, match="no generic one"):
        _questions(None, ("tool",))


def test_bf16_changes_scores_by_its_rounding(folder, infer):
    lower = Inferencer(infer.loaded, amp="force")
    pair = [one.predict(folder / "a.mp4", hands=None) for one in (infer, lower)]
    full, rounded = (found.scores["action"] for found in pair)
    assert rounded.dtype == np.float32 and not np.array_equal(full, rounded)
    np.testing.assert_allclose(rounded, full, atol=0.02)
