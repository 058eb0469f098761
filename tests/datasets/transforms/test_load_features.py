"""Features of others at the times of a stream, and never later ones."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from mmfusion.datasets.caches.token_cache import write_about
from mmfusion.datasets.transforms import (
    LoadFeatures,
    PackInputs,
    SampleObservedFrames,
)
from mmfusion.models import FeatureEncoder
from mmfusion.utils.errors import FeatureError, InputError

lmdb = pytest.importorskip("lmdb")
WIDTH, FRAMES = 4, 120
KEY = "P01_01_frame_{:010d}.jpg"


def frames(poison: int | None = None) -> np.ndarray:
    """(t, d): row n is of frame n, and says so; from ``poison`` on not finite."""
    values = np.arange(FRAMES, dtype=np.float32)[:, None].repeat(WIDTH, 1)
    if poison is not None:
        values[poison:] = np.nan
    return values


def write_lmdb(folder: Path, values: dict[str, bytes]) -> None:
    with lmdb.open(str(folder), map_size=2**20) as env, env.begin(write=True) as t:
        for key, value in values.items():
            t.put(key.encode(), value)


def rulstm(values: np.ndarray) -> dict[str, bytes]:
    """Values by key, images numbered from 1."""
    return {KEY.format(n + 1): value.tobytes() for n, value in enumerate(values)}


def record(root: Path, **keys: object) -> dict:
    extra = dict(video_id="P01_01", participant_id="P01")
    clip = dict(id="a", sample_id="a", start_sec=2.5, end_sec=3.5, extra=extra)
    return {**clip, "path_roots": (str(root),), "label": {"verb": 1}, **keys}


def at(root: Path, *seconds: float) -> dict:
    return record(root, times={"rgb": np.array([seconds])})


@pytest.mark.parametrize("layout", ["lmdb", "npy", "pt"])
def test_no_feature_after_the_observed_end_is_read(tmp_path: Path, layout: str) -> None:
    values = frames(poison=46)  # frame 45 appears at 1.5 s, the observed end
    path = "features/rgb" if layout == "lmdb" else f"features/{{video_id}}.{layout}"
    file = tmp_path / "features" / f"P01_01.{layout}"
    file.parent.mkdir()
    if layout == "lmdb":
        write_lmdb(tmp_path / path, rulstm(values))
    elif layout == "npy":
        np.save(file, values)
    else:
        torch.save(torch.from_numpy(values).half(), file)
    counts = dict(rgb=3)
    sampler = SampleObservedFrames(counts, tau_a=1.0, tau_o=1.2, mode="ends")
    results = sampler(record(tmp_path))
    np.testing.assert_allclose(results["times"]["rgb"][0], [0.7, 1.1, 1.5], atol=2e-3)
    packed = PackInputs(["rgb"])(LoadFeatures("rgb", path, width=WIDTH)(results))
    assert "rgb_mask" not in packed["inputs"]
    tokens = packed["inputs"]["rgb"]  # (v, t, d)
    assert tokens.shape == (1, 3, WIDTH) and tokens.dtype == torch.float32
    assert tokens[0, :, 0].tolist() == [21, 33, 45]
    assert FeatureEncoder(WIDTH, 2)(tokens).tokens.shape == (1, 3, 2)


def test_a_window_is_known_at_its_end_and_rulstm_reads_one_frame_less(
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "P01_01.npy", frames(poison=3)[:8])
    ego4d = LoadFeatures(
        "rgb", "{video_id}.npy", width=WIDTH, fps=30 / 16, reach=32 / 30
    )
    found = ego4d(at(tmp_path, 32 / 30, 2.6))  # windows of 32 frames, 16 apart
    assert found["rgb"][0, :, 0].tolist() == [0, 2]
    write_lmdb(tmp_path / "rgb", rulstm(frames()))
    own = LoadFeatures("rgb", "rgb", width=WIDTH, first=0).names(2.0, video_id="P01_01")
    assert own[0] == KEY.format(60)  # floor(30 t), as its loader has it
    shown = LoadFeatures("rgb", "rgb", width=WIDTH)(at(tmp_path, 2.0))
    assert shown["rgb"][0, 0, 0] == 60  # image 61


def test_seconds_of_a_file_count_and_old_features_do_not(tmp_path: Path) -> None:
    times = np.array([0.0, 1.0, 1.3])
    save_file({"features": frames()[:3], "times": times}, tmp_path / "a.safetensors")
    load = LoadFeatures("rgb", "{id}.safetensors", width=WIDTH, optional=True)
    found = load(at(tmp_path, 0.2, 0.9, 1.29, 1.3, 9.0))
    assert found["rgb_mask"].tolist() == [[True, False, True, True, False]]
    assert found["rgb"][0, :, 0].tolist() == [0, 0, 1, 2, 0]
    load.optional = False
    with pytest.raises(
        FeatureError, match=r"a.safetensors.*before 0.900 s of 'P01_01'"
    ):
        load(at(tmp_path, 0.9))


def test_what_is_wrong_with_a_file_is_named(tmp_path: Path) -> None:
    def told(path: str, seconds: float = 1.0, **options: object) -> str:
        with pytest.raises(FeatureError) as error:
            LoadFeatures("rgb", path, **{"width": WIDTH, **options})(
                at(tmp_path, seconds)
            )
        return str(error.value)

    np.save(tmp_path / "good.npy", frames())
    np.save(tmp_path / "none.npy", frames()[:0])
    np.save(tmp_path / "nan.npy", frames(poison=30))
    np.savez(tmp_path / "two.npz", a=frames(), b=frames())
    (tmp_path / "cut.npy").write_bytes((tmp_path / "good.npy").read_bytes()[:-9])
    (tmp_path / "cut.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{")
    torch.save({"features": Path("x")}, tmp_path / "object.pt")
    assert "good.npy" in told("good.npy", width=5) and "(t, 5)" in told(
        "good.npy", width=5
    )
    assert "(0, 4)" in told("none.npy")
    assert "row 30 has NaN" in told("nan.npy")
    assert "['a', 'b']" in told("two.npz") and "'c'" in told("two.npz", key="c")
    assert "claims" in told("cut.npy") and "no_such.npy" in told("no_such.npy")
    assert "cut.safetensors" in told("cut.safetensors")
    assert "object.pt" in told("object.pt")
    assert "before 9.000 s" in told("good.npy", 9.0)
    np.save(tmp_path / "flat.npy", np.zeros(0, np.float32))
    assert "(0,)" in told("flat.npy")
    np.savez(tmp_path / "text.npz", features=frames()[:1], times=np.array(["0"]))
    assert "no row of 1 rising seconds" in told("text.npz")
    torch.save(torch.from_numpy(frames()).to_sparse(), tmp_path / "sparse.pt")
    assert "no plain tensor" in told("sparse.pt")
    assert "nothing in it was run" in told("object.pt")
    torch.save(torch.nn.Parameter(torch.from_numpy(frames())), tmp_path / "grad.pt")
    found = LoadFeatures("rgb", "grad.pt", width=WIDTH)(at(tmp_path, 1.0))
    assert found["rgb"][0, 0, 0] == 30
    for wrong in ("{0.__class__}.npy", "{}.npy", "{video_id:03d}.npy"):
        with pytest.raises(InputError, match=r"^path is '\{"):
            LoadFeatures("rgb", wrong, width=WIDTH)


def test_what_is_wrong_with_an_lmdb_is_named(tmp_path: Path) -> None:
    values = rulstm(frames())
    values[KEY.format(61)] = b""
    values[KEY.format(91)] = np.full(WIDTH, np.inf, np.float32).tobytes()
    del values[KEY.format(101)]
    write_lmdb(tmp_path / "rgb", values)
    load = LoadFeatures("rgb", "rgb", width=WIDTH)
    with pytest.raises(FeatureError, match=r"0061.jpg' has 0 bytes.*expected 4"):
        load(at(tmp_path, 2.0))
    with pytest.raises(FeatureError, match=r"0091.jpg' has NaN"):
        load(at(tmp_path, 3.0))
    assert load(at(tmp_path, 100 / 30))["rgb"][0, 0, 0] == 99  # the one before
    with pytest.raises(FeatureError, match=r"rgb.*before 9.000 s of 'P01_01'"):
        load(at(tmp_path, 9.0))
    with pytest.raises(FeatureError, match="not a readable LMDB"):
        LoadFeatures("rgb", "flow", width=WIDTH)(at(tmp_path, 2.0))
    (tmp_path / "slow").mkdir()
    write_about(tmp_path / "slow", dict(encoder={}, weights="", fps=10.0))
    with pytest.raises(InputError, match=r"fps is 30, .*slow count 10 a second"):
        LoadFeatures("rgb", "slow", width=WIDTH)(at(tmp_path, 2.0))
    (tmp_path / "cut").mkdir()
    data = (tmp_path / "rgb" / "data.mdb").read_bytes()
    (tmp_path / "cut" / "data.mdb").write_bytes(data[: 3 * 4096])
    with pytest.raises(FeatureError, match=r"data.mdb.*truncated"):
        LoadFeatures("rgb", "cut", width=WIDTH)(at(tmp_path, 2.0))
