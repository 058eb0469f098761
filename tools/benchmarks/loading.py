"""Clips a second of the input side, from video files to batches.

    python tools/benchmarks/loading.py                    # films of its own making
    python tools/benchmarks/loading.py --videos FOLDER    # and yours
    python tools/benchmarks/loading.py --report           # its tables, into a README
    python tools/benchmarks/loading.py --step CONFIG      # a training's waiting

Decoding, sampling, cropping, resizing and collating, by every road: ours, ours where
each clip is of a video not seen before, ours by decord, MMAction2's own pipeline and
torchcodec (where it can be imported; `--torchcodec FOLDER` takes it from a folder of
its own, with PyAV's FFmpeg). Films are 1920x1080 and 456x256 at 50 fps, with keyframes
12, 50 and 250 frames apart, and the 256-px chunks that prepare.py makes of them.
Before a point is timed, each road must give the frames that the first one gives.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from loading_films import Film, film_of, make_chunks, make_film
from loading_roads import Plan, Road, frames_of, roads
from loading_stages import stages_of
from measure import (
    ROOT,
    bench_parser,
    describe,
    interleave,
    load_results,
    make_quick,
    markdown_table,
    median,
    ratio,
    report,
    save_json,
    show,
    write_section,
)
from rich.console import Console

from mmfusion.datasets.media.video_files import find_videos
from mmfusion.engine.launch.start import OptionsAction
from mmfusion.utils.commands import errors_in_one_line
from mmfusion.utils.errors import InputError

SECTION = "loading benchmark"
SIZES = {"1920x1080": ((1080, 1920), 16.0), "456x256": ((256, 456), 1.0)}  # Mbit/s
QUICK = {"128x96": ((96, 128), 0.3), "64x48": ((48, 64), 0.2)}
GOPS = (12, 50, 250)
ROUNDING = 2  # of 255: two versions of FFmpeg may differ by that
CHECKED = "ours by decord"  # slow by its checks, so timed with the first plan only


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.torchcodec:
        use_torchcodec(args.torchcodec)
    if args.report:
        report(write_report, args.out, args.report)
        return 0
    console = Console()
    results = load_results(args.out)
    if args.step:
        from loading_step import step_of  # with all that trains

        found = step_of(args.step, args.cfg_options, args.steps, args.workers[0])
        results.setdefault("steps", {})[args.name or Path(args.step).stem] = found
        console.print_json(data=found)
        save_json(args.out, results)
        return 0
    ways, absent = roads()
    for name, reason in absent.items():
        console.print(f"{name} is left out: {reason}")
    results["absent"] = absent
    for name, film, plan in points(args):
        if name in results["points"] or args.only not in name:
            continue
        results["points"][name] = point = measure(film, plan, ways, args)
        show(name, point["timed"], {}, console)
        save_json(args.out, results)
    return 0


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = bench_parser(__doc__, "loading", ROOT / "tools" / "data" / "videos")
    add = parser.add_argument
    add("--videos", type=Path, help="folder of videos to time in place of the films")
    add("--films", type=Path, default=Path("work_dirs/benchmarks/films"))
    add("--workers", type=int, nargs="+", default=[0, 1, 2])
    add("--frames", type=int, nargs="+", default=[8, 16])
    add("--clip", type=int, default=100, help="frames of the film that a clip spans")
    add("--clips", type=int, default=4, help="of a film, in one sample")
    add("--only", default="", metavar="TEXT", help="points with this in their name")
    add("--torchcodec", type=Path, help="folder into which pip has installed it")
    add("--step", metavar="CONFIG", help="train by it, and tell how long steps wait")
    add("--steps", type=int, default=12)
    add("--name", help="of a step's result, in place of the config's")
    add("--cfg-options", nargs="+", action=OptionsAction, default={}, help="key=value")
    parser.set_defaults(batch=4)
    args = parser.parse_args(argv)
    args.sizes, args.num_frames = SIZES, 160
    if args.quick:
        make_quick(args)
        args.sizes, args.num_frames, args.clip, args.clips = QUICK, 24, 12, 2
        args.workers, args.frames = [0], [4]
    return args


def use_torchcodec(folder: Path) -> None:
    """Start anew with torchcodec, and with PyAV's FFmpeg under the names it asks for.

    The loader of the system looks at its paths when a process starts.
    """
    if str(folder.resolve()) in sys.path:
        return
    import av

    libraries = Path(av.__file__).parents[1] / "av.libs"
    links = folder.resolve() / "ffmpeg"
    links.mkdir(exist_ok=True)
    for file in libraries.glob("lib[as][vw]*.so.*"):
        name, version = file.name.split("-")[0], file.name.split(".so.")[1]
        link = links / f"{name}.so.{version.split('.')[0]}"
        if not link.is_symlink():
            link.symlink_to(file)
    paths = {
        "LD_LIBRARY_PATH": (links, libraries, os.environ.get("LD_LIBRARY_PATH", "")),
        "PYTHONPATH": (folder.resolve(), os.environ.get("PYTHONPATH", "")),
    }
    told = {name: ":".join(map(str, value)) for name, value in paths.items()}
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **told})


def points(args: argparse.Namespace) -> Iterator[tuple[str, Film, Plan]]:
    """Every film with the first plan; GOP 50 and the chunks with each."""
    frames, workers = args.frames, args.workers
    for film in films(args):
        plans = [Plan(frames[0], workers=workers[0])]
        if "GOP 50" in film.name or "chunks" in film.name or args.videos:
            plans += [Plan(count, workers=workers[0]) for count in frames[1:]]
            plans += [Plan(frames[0], workers=count) for count in workers[1:]]
        for plan in plans:
            plan = Plan(**{**asdict(plan), "batch": args.batch})
            told = f"{plan.frames} frames, {plan.workers} workers, batch {plan.batch}"
            yield f"{film.name}: {told}", film, plan


def films(args: argparse.Namespace) -> Iterator[Film]:
    """The films, each made when it is wanted."""
    if args.videos:
        files = find_videos(args.videos)
        if not files:
            raise InputError(f"--videos: no video lies in {args.videos}")
        for file in files:
            yield film_of(file.name, file.resolve())
        return
    folder = args.films.resolve()
    for name, (size, megabits) in args.sizes.items():
        for gop in GOPS:
            path = make_film(
                folder,
                size=size,
                gop=gop,
                megabits=megabits,
                num_frames=args.num_frames,
            )
            yield film_of(f"{name}, GOP {gop}", path)
    largest = next(iter(args.sizes))
    source = next(folder.glob(f"{args.sizes[largest][0][0]}p_gop50_*.mp4"))
    chunks = make_chunks(source, folder / f"{source.stem}_256")
    yield film_of("256-px chunks of the first", chunks)


def measure(
    film: Film, plan: Plan, ways: Sequence[Road], args: argparse.Namespace
) -> dict[str, Any]:
    """Seconds of one pass over the clips, a road; and of each stage, for one clip."""
    clips = film.clips(args.clips, args.clip)
    check_frames(film, clips[-1], plan, ways)
    if plan != Plan(args.frames[0], batch=args.batch, workers=args.workers[0]):
        ways = [way for way in ways if way.name != CHECKED]
    loaders = {way.name: way.loader(film, clips, plan) for way in ways}
    spent: dict[str, list[float]] = {way.name: [] for way in ways}
    timed = interleave(
        {name: lambda n=name: _pass(loaders[n], spent[n]) for name in loaders},
        rounds=args.rounds,
        limit=600,
        wait=args.wait,
        sample=0.0,  # one pass
    )
    for name, seconds in spent.items():
        timed[name]["cpu"] = seconds[-args.rounds :]  # the first ones warm up
    stages = {}
    if plan.workers == 0:
        stages = {way.name: stages_of(way, film, clips, plan) for way in ways}
    return dict(
        film=film.name,
        megabits=film.megabits,
        plan=asdict(plan),
        clips=len(clips),
        clip=args.clip,
        timed=timed,
        stages=stages,
    )


def _pass(loader: Any, spent: list[float]) -> None:
    before = cpu_seconds()
    for _ in loader:
        pass
    spent.append(cpu_seconds() - before)


def cpu_seconds(pid: int | None = None) -> float:
    """CPU time of a process, this one if left out, and of all that it has started."""
    pid = pid or os.getpid()
    total = time.clock_gettime(~pid << 3 | 2)  # the clock of a process, Linux
    for thread in Path(f"/proc/{pid}/task").iterdir():
        children = (thread / "children").read_text().split()
        total += sum(cpu_seconds(int(child)) for child in children)
    return total


def check_frames(
    film: Film, clip: tuple[int, int], plan: Plan, ways: Sequence[Road]
) -> None:
    """Refuse to time roads that do not give the same frames."""
    expected = frames_of(ways[0], film, clip, plan).astype(np.int16)
    for way in ways[1:]:
        found = frames_of(way, film, clip, plan)
        if found.shape != expected.shape:
            raise InputError(f"{way.name} gives {found.shape}, not {expected.shape}")
        if np.abs(found - expected).max() > ROUNDING:
            raise InputError(f"{way.name} gives other frames of {film.name}")


def write_report(results: Mapping[str, Any], folder: Path) -> None:
    """Fill the section of the folder's README."""
    points = list(results["points"].values())
    names = list(dict.fromkeys(name for p in points for name in p["timed"]))
    rounds = [len(t["seconds"]) for p in points for t in p["timed"].values()]
    head = ["film", "Mbit/s", "frames", "workers", *names]
    parts = [
        describe(results["machine"]),
        f"Clips a second, medians of {min(rounds)} interleaved rounds (in brackets:"
        " ours is so many times as fast, median of the pairs):",
        markdown_table(head, [_row(p, names, "seconds") for p in points]),
        "CPU time of a clip, ms, of all processes and threads; the median of the same"
        " rounds (in brackets: times ours), which others on the machine change less:",
        markdown_table(head, [_row(p, names, "cpu") for p in points]),
    ]
    parts += [f"Left out: {k}: {v}" for k, v in results.get("absent", {}).items()]
    staged = [p for p in points if p["stages"]]
    parts += [
        "Where the CPU time of a clip goes, ms (medians over the clips):",
        markdown_table(*_stage_table(staged)),
    ]
    if results.get("steps"):
        parts += ["Training steps:", markdown_table(*_step_table(results["steps"]))]
    write_section(folder / "README.md", SECTION, "\n\n".join(parts))


def _row(point: Mapping[str, Any], names: Sequence[str], what: str) -> list[str]:
    plan, timed = point["plan"], point["timed"]
    cells = [point["film"], f"{point['megabits']:.2g}"]
    cells += [str(plan["frames"]), str(plan["workers"])]
    for name in names:
        if name not in timed:
            cells.append("not run")
            continue
        own, ours = ({"seconds": timed[n][what]} for n in (name, "ours"))
        each = median(own) / point["clips"]
        text = f"{1 / each:.3g}" if what == "seconds" else f"{1e3 * each:.3g}"
        times = "" if name == "ours" else f" ({ratio(own, ours)[0]:.2f})"
        cells.append(text + times)
    return cells


def _stage_table(points: Sequence[Mapping[str, Any]]) -> tuple[list[str], list]:
    lines = []
    columns = list(
        dict.fromkeys(s for p in points for way in p["stages"].values() for s in way)
    )
    for p in points:
        for name, stages in p["stages"].items():
            cells = [f"{1e3 * stages[s]:.3g}" if s in stages else "" for s in columns]
            lines.append([p["film"], name, *cells])
    return ["film", "road", *columns], lines


def _step_table(steps: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    head = ["training", "batch", "workers", "step, s", "waiting, %"]
    head += ["transforms of a clip, ms of CPU", "of the CPU time of a step, %"]
    lines = [
        [
            name,
            str(s["batch"]),
            str(s["workers"]),
            f"{s['step']:.3g}",
            f"{100 * s['waiting']:.1f}",
            f"{1e3 * s['transforms']:.3g}",
            f"{100 * s['share']:.2f}",
        ]
        for name, s in steps.items()
    ]
    return head, lines


if __name__ == "__main__":
    sys.exit(main())
