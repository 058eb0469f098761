"""The official csv files, the real ones and broken ones."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmfusion.layouts import epic_kitchens as epic
from mmfusion.utils.errors import AnnotationError
from tests.ek100_files import HEAD, edit, make_ek100, segment_row, write_csv


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_ek100(tmp_path)


def _read(root: Path, name: str = "validation") -> list[epic.EpicSegment]:
    return epic.read_segments(root / f"EPIC_100_{name}.csv", epic.read_classes(root))


def test_a_row_is_read_as_published(root: Path) -> None:
    first = _read(root, "train")[0]
    assert (first.narration_id, first.participant, first.video) == (
        *("P01_01_0", "P01", "P01_01"),
    )
    assert (first.start_sec, first.stop_sec) == (0.14, 3.37)
    assert (first.start_frame, first.stop_frame) == (8, 202)
    assert (first.verb, first.noun, first.narration) == (0, 1, "do a thing")
    assert (first.verb_name, first.noun_name) == ("do", "thing")
    hidden = _read(root, "test_timestamps")[0]
    assert (hidden.verb, hidden.noun, hidden.narration) == (None, None, None)


def test_the_fraction_of_a_second_may_have_any_length(root: Path) -> None:
    edit(root / "EPIC_100_validation.csv", "00:00:01.56", "00:00:01.5625")
    assert _read(root)[1].start_sec == 1.5625


def test_a_list_of_rulstm_counts_30_frames_a_second(root: Path) -> None:
    write_csv(root / "list.csv", [["P01_01_0", "P01_01", 4, 101, 0, 1, 0]])
    found = epic.read_segments(root / "list.csv", epic.read_classes(root))[0]
    assert (found.start_sec, found.stop_sec) == (4 / 30, 101 / 30)
    assert found.action == 0
    slower = epic.read_segments(
        root / "list.csv", epic.read_classes(root), list_fps=20.0
    )
    assert slower[0].stop_sec == 101 / 20


def test_classes_are_named_as_one_says_them(root: Path) -> None:
    classes = epic.read_classes(root)
    names = classes.names([(1, 0)])
    assert names["verb"] == ["take", "turn on"]
    assert names["noun"][1] == "chopping board"
    assert names["action"] == ["turn on tap"]
    assert classes.noun[1].instances == ("board:chopping", "thing")
    assert classes.noun[1].category == "any"
    assert classes.tail_verbs == (1,) and classes.tail_nouns == (0, 10)
    assert epic.read_unseen(root, "val") == ("P03",)


def test_actions_are_ranked_as_text() -> None:
    pairs = [(1, 10), (1, 9), (10, 0), (2, 0), (1, 9)]
    # "10:0" < "1:10" < "1:9" < "2:0": a digit comes before the colon
    assert epic.action_pairs(pairs) == [(10, 0), (1, 10), (1, 9), (2, 0)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",do,0,thing,0,", ",do,2,thing,0,", "verb_class is '2', a class that EPIC_1"),
        (",do,0,thing,0,", ",do,0,thing,11,", "noun_class is '11', a class that EPIC"),
        (",do,0,thing,0,", ",do,0.0,thing,0,", "verb_class is '0.0'"),
        (",do,0,thing,0,", ",--,0,thing,0,", "verb is '--'; expected a name"),
        ("00:00:01.56", "1.56", "start_timestamp is '1.56'; expected HH:MM:SS.ss"),
        ("00:00:01.56", "00:61:01.56", "start_timestamp is '00:61:01.56'"),
        ("00:00:01.56", "00:00:07.56", "stop_timestamp is 2.45 and start_timestamp 7"),
        (",93,147,", ",93,14,", "stop_frame is 14 and start_frame 93"),
        (",93,147,", ",-1,147,", "start_frame is '-1'; expected a whole number"),
        (",93,147,", ",9e9,147,", "start_frame is '9e9'"),
        ("P03_02_1,P03", "P03_02_0,P03", "'P03_02_0' comes twice; the first is at"),
        ("P03_02_1,P03", "P03_021,P03", "narration_id is 'P03_021'; expected P03_02_"),
        ("P03_02_1,P03", "P03_02_1,P13", "participant_id is 'P13'; expected 'P03'"),
        ("P03,P03_02,,00:00:01", "P03,../x,,00:00:01", "video_id is '../x'"),
        (",[0]", "", "14 columns; expected 15"),
        (",[0]", ",[0],", "16 columns; expected 15"),
        (",[0]", ',"[0]', "not csv: unexpected end of data"),
        (",[0]", ",\0", "it has a NUL character"),
        (",[0]", "," + "x" * 200_000, "not csv: field larger than field limit"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(
    old: str, new: str, message: str, root: Path
) -> None:
    edit(root / "EPIC_100_validation.csv", old, new)
    with pytest.raises(AnnotationError) as caught:
        _read(root)
    assert "EPIC_100_validation.csv:3: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (",do,0,thing,0,", ",do,1,thing,10,"),  # the last classes
        ("00:00:01.56,00:00:02.45", "00:59:59.99,01:00:00.00"),
        (",93,147,", ",93,93,"),  # one frame
        (",93,147,", ",0,0,"),
    ],
)
def test_a_row_just_inside_is_read(old: str, new: str, root: Path) -> None:
    edit(root / "EPIC_100_validation.csv", old, new)
    assert len(_read(root)) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("00:00:01.56", "00:60:01.56", "start_timestamp is '00:60:01.56'"),
        ("00:00:01.56", "00:00:60.00", "start_timestamp is '00:00:60.00'"),
        ("00:00:01.56", "00:00:02.45", "stop_timestamp is 2.45 and start_timestamp 2"),
        (",93,147,", ",148,147,", "stop_frame is 147 and start_frame 148"),
    ],
)
def test_a_row_just_outside_is_refused(
    old: str, new: str, message: str, root: Path
) -> None:
    edit(root / "EPIC_100_validation.csv", old, new)
    with pytest.raises(AnnotationError, match=message):
        _read(root)


@pytest.mark.parametrize("task", ["verb", "noun"])
def test_slips_of_the_pen_are_read_and_other_class_files_are_not(
    task: str, root: Path
) -> None:
    """One name of three may be of no class, two may not."""
    path, name = root / "EPIC_100_train.csv", {"verb": ",do,", "noun": ",thing,"}[task]
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace(name, ",slip,", 1)
    path.write_text("\n".join(lines))
    assert len(_read(root, "train")) == 3
    lines[2] = lines[2].replace(name, ",slip,", 1)
    path.write_text("\n".join(lines))
    with pytest.raises(AnnotationError, match=f"2 of 3 {task}s are no names of their"):
        _read(root, "train")


@pytest.mark.parametrize("number", ["10", "11"])
def test_the_last_tail_class_is_a_class(number: str, root: Path) -> None:
    edit(root / "EPIC_100_tail_nouns.csv", "10", number)
    if number == "10":
        assert epic.read_classes(root).tail_nouns == (0, 10)
        return
    with pytest.raises(AnnotationError, match="noun is 11; expected 0..10"):
        epic.read_classes(root)


@pytest.mark.parametrize("stop", [10.5, 10.51])
def test_a_segment_may_end_half_a_second_after_its_video(
    stop: float, root: Path
) -> None:
    segments = [replace(_read(root)[0], stop_sec=stop)]
    durations = epic.read_durations(root / "EPIC_100_video_info.csv")
    if stop == 10.5:
        epic.check_durations(segments, durations)
        return
    with pytest.raises(AnnotationError, match=r"stops at 10.51 s.* it has 10 s"):
        epic.check_durations(segments, durations)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks_do_no_harm(
    ending: str, mark: str, root: Path
) -> None:
    path = root / "EPIC_100_validation.csv"
    text = mark + path.read_text().replace("\n", ending) + ending
    path.write_bytes(text.encode())
    assert len(_read(root)) == 2


def test_bytes_that_are_no_text_are_named(root: Path) -> None:
    path = root / "EPIC_100_validation.csv"
    path.write_bytes(path.read_bytes().replace(b"['thing'],[0]", b"\xff\xfe,[0]"))
    with pytest.raises(AnnotationError, match=r"validation.csv:3: byte \d+ is not UTF"):
        _read(root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("a,b,c\n1,2,3\n", "neither the header of an official file nor a row"),
        ("narration_id,verb_class\n", "the header lacks the columns"),
    ],
    ids=["empty", "other", "header"],
)
def test_other_files_are_told_apart(content: str, message: str, root: Path) -> None:
    (root / "other.csv").write_text(content)
    with pytest.raises(AnnotationError, match=message):
        epic.read_segments(root / "other.csv", epic.read_classes(root))


def test_a_file_that_is_not_there_is_named(root: Path) -> None:
    (root / "EPIC_100_noun_classes.csv").unlink()
    with pytest.raises(AnnotationError, match="noun_classes.csv: there is no such"):
        epic.read_classes(root)


def test_a_video_that_is_too_short_is_named(root: Path) -> None:
    edit(root / "EPIC_100_video_info.csv", "P03_02,10.0", "P03_02,1.9")
    durations = epic.read_durations(root / "EPIC_100_video_info.csv")
    with pytest.raises(AnnotationError) as caught:
        epic.check_durations(_read(root), durations)
    assert "validation.csv:3: 'P03_02_1' stops at 2.45 s, but the video 'P03_02'" in (
        str(caught.value)
    )
    with pytest.raises(AnnotationError, match="'P03_02' is not in EPIC_100_video_info"):
        epic.check_durations(_read(root), {})


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "verb_classes",
            "1,turn-on",
            "2,turn-on",
            "classes.csv:3: id is '2'; expected",
        ),
        ("noun_classes", "0,tap", "0, ", "noun_classes.csv:2: key is ' '"),
        ("noun_classes", "key,instances", "key,names", r"lacks the columns \['instan"),
        (
            "verb_classes",
            "\"['take', 'do']\"",
            "__import__('os')",
            r"verb_classes.csv:2: instances is .*; expected a list of names",
        ),
        ("tail_nouns", "10", "11", "tail_nouns.csv:3: noun is 11; expected 0..10"),
    ],
)
def test_bad_class_files_are_named(
    file: str, old: str, new: str, message: str, root: Path
) -> None:
    edit(root / f"EPIC_100_{file}.csv", old, new)
    with pytest.raises(AnnotationError, match=message):
        epic.read_classes(root)


def test_bad_action_files_are_named(root: Path) -> None:
    classes = epic.read_classes(root)
    head = ["id", "verb", "noun", "action"]
    for rows, message in (
        ([[0, 0, 0, ""], [0, 1, 0, ""]], "csv:3: id is '0'; expected 1"),
        ([[0, 0, 0, ""], [1, 0, 0, ""]], "csv:3: verb 0 with noun 0 comes twice"),
        ([[0, 2, 0, ""]], "csv:2: verb_class is '2'"),
    ):
        write_csv(root / "actions.csv", [head, *rows])
        with pytest.raises(AnnotationError, match=message):
            epic.read_actions(root / "actions.csv", classes)


def test_swapped_class_files_are_refused(root: Path) -> None:
    files = [root / f"EPIC_100_{task}_classes.csv" for task in ("verb", "noun")]
    texts = [path.read_text() for path in files]
    for path, text in zip(files, reversed(texts), strict=True):
        path.write_text(text)
    for task in ("verb", "noun"):
        (root / f"EPIC_100_tail_{task}s.csv").unlink()
    edit(root / "EPIC_100_validation.csv", "thing,1,", "thing,0,")  # two verbs only
    with pytest.raises(AnnotationError, match=r"2 of 2 verbs.*'do' has verb_class 0.*"):
        _read(root)


def test_names_are_written_as_english_does() -> None:
    assert epic.natural("machine:sous:vide") == "sous vide machine"
    assert epic.natural("put-down") == "put down"


CELLS = st.text(max_size=12) | st.sampled_from(
    ["", "=1+1", "nan", "1e400", "-0", "00:00:00", "P01_01", "\u0661", "9" * 30, '"']
)


_classes_of = cache(epic.read_classes)


@given(column=st.integers(0, 14), cell=CELLS, raw=st.booleans())
def test_any_row_is_read_or_refused_by_line(
    column: int, cell: str, raw: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp() / "fuzz"
    if not root.is_dir():
        root.mkdir()
        make_ek100(root)
    row = segment_row("P03_02_1", 1.56, 2.45, 0, 0)
    row[column] = cell
    path = root / "fuzzed.csv"
    if raw:  # no quotes about what needs them
        lines = [",".join(map(str, line)) for line in (HEAD, row)]
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    else:
        write_csv(path, [HEAD, row])
    try:
        found = epic.read_segments(path, _classes_of(root))
    except AnnotationError as error:
        assert "fuzzed.csv:" in str(error)
    else:
        assert all(one.stop_sec > one.start_sec >= 0 for one in found)


def test_the_real_files_hold_what_is_known_of_them(shared_data: Path) -> None:
    root = shared_data / "ek100"
    classes = epic.read_classes(root)
    assert (len(classes.verb), len(classes.noun)) == (97, 300)
    assert (len(classes.tail_verbs), len(classes.tail_nouns)) == (86, 228)
    val = epic.read_segments(root / epic.SEGMENT_FILES["val"], classes)
    test = epic.read_segments(root / epic.SEGMENT_FILES["test"], classes)
    assert (len(val), len(test)) == (9668, 13092)
    durations = epic.read_durations(root / epic.VIDEO_FILE)
    epic.check_durations([*val, *test], durations)
    for one in [*val, *test]:
        number = max(1, int(one.start_sec * epic.index_fps(one.video) + 1e-6))
        assert abs(number - one.start_frame) <= 1
    assert epic.read_unseen(root, "val") == ("P18", "P32")
    assert sum(one.start_sec < 1 for one in val) == 27
    assert sum(one.start_sec < 3 for one in val) == 122


def test_most_real_names_are_of_their_class(shared_data: Path) -> None:
    """The rest are slips of the pen, which the check lets pass."""
    root = shared_data / "ek100"
    classes = epic.read_classes(root)
    val = epic.read_segments(root / epic.SEGMENT_FILES["val"], classes)
    for task in ("verb", "noun"):
        table = getattr(classes, task)
        known = [
            getattr(one, f"{task}_name") in table[getattr(one, task)].instances
            for one in val
        ]
        assert sum(known) > 0.99 * len(val)


@pytest.mark.slow
def test_the_real_vocabulary_is_avions(shared_data: Path) -> None:
    root = shared_data / "ek100"
    classes = epic.read_classes(root)
    train = epic.read_segments(root / "rulstm/training.csv", classes)
    val = epic.read_segments(root / epic.SEGMENT_FILES["val"], classes)
    assert len(train) == 67217
    pairs = {
        name: {(one.verb, one.noun) for one in found}
        for name, found in (("train", train), ("val", val))
    }
    known = epic.read_actions(root / "rulstm/actions.csv", classes)
    assert epic.action_pairs(pairs["train"] | pairs["val"]) == known  # type: ignore
    assert (len(known), len(pairs["val"] - pairs["train"])) == (3806, 238)
    assert all(known[one.action or 0] == (one.verb, one.noun) for one in train)
