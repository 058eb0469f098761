"""Every key of an annotation file: its type and range, and what it means."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from mmfusion.layouts.hand_layouts import check_layout_keys
from mmfusion.layouts.skeleton_arrays import UNITS
from mmfusion.utils.errors import InputError
from mmfusion.utils.paths import unsafe_reason
from mmfusion.utils.schema import STRICT, Name, Schema, rule

STREAM_KEYS = ("video", "frame_dir", "skeleton", "text")
# one plain integer field: str.format could reach into objects by {0.__class__}
_FRAME_TEMPLATE = (
    r"^(?:[^{}/]|\{\{|\}\})*\{0?(?::0?[0-9]{0,2}d?)?\}(?:[^{}/]|\{\{|\}\})*$"
)
_PATH = "a relative path inside data_root, with '/' and without '..'"


def _plain_path(value: str) -> str:
    reason = unsafe_reason(value)
    if reason is not None:
        raise InputError(reason)
    return value


Path = Annotated[str, AfterValidator(_plain_path), Field(description=_PATH)]
FrameTemplate = Annotated[
    str,
    Field(
        pattern=_FRAME_TEMPLATE,
        description="a file name with one integer field, such as '{:06d}.jpg'",
    ),
    AfterValidator(_plain_path),
]
Count = Annotated[int, Field(ge=0, lt=2**31, description="an integer in 0..2147483647")]
Seconds = Annotated[  # 115 days: more is a unit mistake
    float, Field(ge=0, le=1e7, description="seconds >= 0")
]
Rate = Annotated[
    float,
    Field(gt=0, le=1e5, description="frames per second of the frame numbers, > 0"),
]
FrameIds = Annotated[
    list[Count],
    Field(min_length=1, description="a list of rising frame numbers, at least one"),
    rule(lambda ids: ids == sorted({*ids}), "they do not rise"),
]
File = Annotated[
    dict[Literal["file"], Path | None],
    Field(min_length=1, description=f'{{"file": {_PATH}}}, and no other key'),
]
Camera = Annotated[
    dict[Literal["fx", "fy", "cx", "cy", "width", "height"], float],
    Field(min_length=6, description="numbers fx, fy, cx, cy, width and height"),
    rule(
        lambda camera: min(camera[key] for key in ("fx", "fy", "width", "height")) > 0,
        "focal lengths and sides are above 0",
    ),
]
Unit = Annotated[
    str,
    Field(description="a unit"),
    rule(lambda unit: unit in UNITS, f"it is not one of {[*UNITS]}, or null"),
]
Joints = Annotated[
    list[Name],
    Field(min_length=1, max_length=4096, description="a list of names, one a joint"),
    rule(lambda names: len({*names}) == len(names), "a name comes twice"),
]
JointNumber = Annotated[
    int, Field(ge=0, lt=4096, description="the number of a joint, counted from 0")
]
JointPairs = Annotated[
    list[Annotated[list[JointNumber], Field(min_length=2, max_length=2)]],
    Field(description="a list of pairs of joint numbers, counted from 0"),
]
Anything = Annotated[dict, Field(description="an object of anything more")]


class Record(BaseModel):
    """One clip.

    Attributes:
        id: unique in the file. group: its sequence. split: as ``"train"``.
        video: of the clip and, most often, of others. frame_dir: a folder of images.
        filename_tmpl: of the files in ``frame_dir``. start_index: of the first of them.
        start_sec: of the clip in the video. end_sec: null for the whole rest.
        duration_sec: of the video, where it is known.
        start_frame: of the clip, as a file number less ``start_index``.
        end_frame: the last, included. index_fps: of these numbers.
        frame_ids: frames that exist, where some do not.
        label: class number from 0 of each task.
    """

    model_config = STRICT
    id: Name
    group: Name | None = None
    split: Name | None = None
    video: Path | None = None
    frame_dir: Path | None = None
    filename_tmpl: FrameTemplate | None = None
    start_index: Count = 0
    total_frames: (
        Annotated[Count, Field(gt=0, description="an integer >= 1")] | None
    ) = None
    start_sec: Seconds
    end_sec: Seconds | None
    duration_sec: Annotated[Seconds, Field(gt=0)] | None = None
    start_frame: Count | None = None
    end_frame: Count | None = None
    index_fps: Rate | None = None
    frame_ids: FrameIds | None = None
    skeleton: File | None = None
    boxes: File | None = None
    label: dict[str, Any] = Field(description="{task: class number from 0}")
    text: dict[str, str | None] | None = Field(None, description="{name: string}")
    camera: Camera | None = None
    extra: Anything | None = None

    @model_validator(mode="after")
    def _check_extent(self) -> "Record":
        """A clip has at least one stream, and in it at least one frame."""
        if all(getattr(self, key) is None for key in STREAM_KEYS):
            raise InputError(
                f"has no stream; expected at least one of {STREAM_KEYS} not null"
            )
        start, end = self.start_sec, self.end_sec
        if end is not None and end <= start:
            raise InputError(
                f"end_sec is {end} and start_sec {start}; expected end_sec after"
                " start_sec: the clip has zero frames or is reversed"
            )
        first, last = self.start_frame, self.end_frame
        if first is not None and last is not None and last < first:
            raise InputError(
                f"end_frame is {last} and start_frame {first}; expected end_frame >="
                " start_frame (it is included): the clip has zero frames or is reversed"
            )
        for key in ("index_fps", "filename_tmpl") if self.frame_dir is not None else ():
            if getattr(self, key) is None:
                raise InputError(
                    f"{key} is missing; expected {RECORD.expected[key]}, as there is a"
                    " frame_dir"
                )
        return self


class Skeleton(BaseModel):
    """The skeletons of all records; further keys are the user's own.

    Attributes:
        layout: name of the joints' order. hands: their names, in the files' order;
            for other skeletons theirs, such as ``["body"]``.
        unit: of the coordinates. frame: ``camera``, ``image``, ``world``...
        dims: 2 or 3, the coordinates that say something; 2-D joints are stored as
            (x, y, 0).
        joints: their names, where the layout is none of ``hand_layouts.LAYOUTS``.
        num_joints: joints of a hand, where neither a layout nor ``joints`` says it.
        bones: [[parent, child], ...]. wrist: the root joint.
        mirror: [[left, right], ...], joints that change places in a mirror; [] for
            none. A body without it cannot be mirrored.
    """

    model_config = {**STRICT, "extra": "allow"}
    layout: Name | None = None
    hands: (
        Annotated[
            list[Name],
            rule(lambda hands: len({*hands}) == len(hands), "a name comes twice"),
        ]
        | None
    ) = None
    unit: Unit | None = None
    frame: Name | None = None
    dims: Annotated[Literal[2, 3], Field(description="2 or 3")] | None = None
    joints: Joints | None = None
    num_joints: Annotated[int, Field(gt=0, le=4096)] | None = None
    bones: JointPairs | None = None
    wrist: JointNumber | None = None
    mirror: JointPairs | None = None

    @model_validator(mode="after")
    def _check_layout(self) -> "Skeleton":
        check_layout_keys(self.model_dump())
        return self


class Metainfo(BaseModel):
    """The head of the file: its classes, and what its skeletons and questions are."""

    model_config = STRICT
    version: int = Field(ge=1, le=1, description="1")
    dataset: Name
    classes: dict[Name, Annotated[list[str], Field(min_length=1)]] = Field(
        description="{task: [class names]}, no list empty"
    )
    skeleton: Skeleton | None = Field(
        None,
        description=f"an object of layout (or joints, bones, wrist), hands, unit"
        f" ({[*UNITS]}), frame and dims",
    )
    question_source: Name | None = None
    extra: Anything | None = None


RECORD, METAINFO = Schema(Record), Schema(Metainfo)
