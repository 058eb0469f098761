"""One HTML file: names are text, nothing comes from outside, parts may lack."""

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from mmfusion.evaluation.answers import answers
from mmfusion.evaluation.by_class import class_report
from mmfusion.evaluation.calibration import calibration
from mmfusion.evaluation.functional import Interval
from mmfusion.utils.errors import InputError
from mmfusion.visualization.report import (
    AnswerCell,
    Chart,
    ClipCard,
    ClipGroup,
    Command,
    DataPart,
    ModelPart,
    Page,
    PairRow,
    Series,
    SplitRow,
    TextTable,
    calibration_chart,
    line_chart,
    picture_uri,
    render,
)
from tests.analysis.made_runs import made_predictions

EVIL = '<script>alert("x")</script> & $\\frac{1}{2}$'
FETCHES = ("src", "href", "xlink:href", "data", "action", "poster", "srcset")


def made_model(classes, name="RGB"):
    own = answers(made_predictions(["a", "b", "c"], [0, 1, 1], [0, 1, 0], classes))
    sure = calibration(own)
    return ModelPart(
        name=name,
        config=name,
        streams=("video",),
        folder=name,
        colour=0,
        top1=Interval(66.7, 20.8, 93.9),
        num_seeds=1,
        epochs=None,
        parameters=None,
        classes=class_report(own),
        sureness=sure,
        sureness_chart=calibration_chart(sure),
    )


def made_page(name="wave", **parts):
    data = DataPart(name, "action", ("train", "test"), (), (), "test", (name,))
    model = made_model([name, "other"])
    return Page(
        title=name, made="now", summary=(name,), data=data, models=(model,), **parts
    )


def full_page(name):
    uri = picture_uri([np.zeros((8, 8, 3), np.uint8)])
    cell = AnswerCell(name, 0, name, True, 80.0, ((name, 50.0),))
    card = ClipCard(name, name, (cell,), uri, name)
    svg = line_chart([Series([(1, 3), (2, 4)])], x_label="epoch", y_label="loss")
    chart = Chart(name, svg, ((name, 0),), name)
    table = TextTable((name,), ((name,),))
    pair = PairRow(name, name, Interval(1, -2, 4), 1, 2, 0.5, 1.0, 1234)
    return made_page(
        name,
        cautions=(name,),
        pairs=(pair,),
        notes=(name,),
        curves=(chart,),
        alpha=(chart,),
        alpha_table=table,
        alone=(ClipGroup(name, 3, (card,)),),
        worst=ClipGroup(name, 1, (card,)),
        reliance=table,
        reliance_notes=(name,),
        commands=(Command(name, name),),
    )


class Reader(HTMLParser):
    """Tags and their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_names_are_text_wherever_they_stand():
    text = render(full_page(EVIL))
    reader = Reader(text)
    assert not reader.open
    assert "script" not in {tag for tag, _ in reader.tags}
    assert "&lt;script&gt;" in text and text.count("alert(&#34;x&#34;)") > 20


def test_nothing_is_fetched():
    text = render(full_page("wave"))
    for tag, attributes in Reader(text).tags:
        for key in FETCHES:
            value = attributes.get(key)
            assert value is None or re.match(r"data:|#", value), (tag, key, value)
    assert not re.search(r"url\((?!#)|@import", text)
    assert "default-src 'none'" in text
    links = {found for found in re.findall(r"https?://[^\"' <]+", text)}
    assert links <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}


def test_colours_are_the_style_sheets():
    text = str(line_chart([Series([(1, 3), (2, 4)], 1)], x_label="a", y_label="b"))
    assert "var(--c2)" in text and "var(--ink)" in text
    assert not re.search(r"#[0-9a-f]{6}\b", text.replace("xlink:href=", ""))
    assert "prefers-color-scheme: dark" in render(made_page())


def test_empty_parts_are_left_out():
    text = render(made_page())
    for part in ("curves", "alpha", "reliance", "alone", "worst", "on"):
        assert f'id="{part}"' not in text
    assert 'id="confusion"' in text and 'id="calibration"' in text


def test_the_table_of_classes_and_splits():
    rows = (SplitRow("wave", (3, 1)),)
    data = DataPart("mine", "action", ("train", "test"), rows, (3, 1), "test")
    page = Page("t", "now", (), data, (made_model(["wave", "x"]),))
    assert "<tr><td>wave</td><td>3</td><td>1</td></tr>" in render(page)


def test_many_classes_have_no_matrix():
    classes = [f"c{number}" for number in range(60)]
    ids = [f"i{number}" for number in range(60)]
    own = made_predictions(ids, range(60), [0] * 60, classes)
    model = made_model(["a", "b"])
    many = ModelPart(**{**vars(model), "classes": class_report(answers(own))})
    text = render(Page("t", "now", (), made_page().data, (many,)))
    assert 'class="matrix' not in text and "too large for a page" in text


def test_a_strip_holds_its_frames_side_by_side():
    frames = [np.full((6, 8, 3), value, np.uint8) for value in (0, 200)]
    head, data = picture_uri(frames).split(",")
    assert head == "data:image/jpeg;base64"
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)
    assert image.shape == (6, 20, 3)
    assert image[:, :6].mean() < 20 and image[:, 14:].mean() == pytest.approx(
        200, abs=9
    )
    with pytest.raises(InputError, match="heights"):
        picture_uri([frames[0], frames[1][:3]])
