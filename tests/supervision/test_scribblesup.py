"""ScribbleSup's XML: read as strokes; malformed or unsafe files are refused with the file's name."""

import pytest

from toykit.datasets.voc import CLASSES
from toykit.supervision import Stroke, read_scribblesup

XML = """<annotation><filename>2007_1.jpg</filename><size><width>40</width><height>30</height></size>
<polygon><tag>cat</tag><point><X>5</X><Y>10</Y></point><point><X>5</X><Y>10</Y></point><point><X>15</X><Y>10</Y></point>
<point><X>40</X><Y>10</Y></point><point><X>-1</X><Y>4</Y></point></polygon>
<polygon><tag>background</tag><point><X>30</X><Y>25</Y></point></polygon>
<polygon><tag>dog</tag><point><X>50</X><Y>99</Y></point></polygon></annotation>"""


def test_scribblesup_drops_repeated_points_and_those_outside(tmp_path):
    path = tmp_path / "2007_1.xml"
    path.write_text(XML)
    scribbles = read_scribblesup(path, CLASSES)
    assert scribbles.size == (40, 30)
    assert scribbles.strokes == (Stroke("cat", 3, ((5, 10), (15, 10))), Stroke("background", 3, ((30, 25),)))
    seeds = scribbles.draw()
    assert (seeds[9:12, 5:16] == CLASSES.index("cat")).all()
    assert seeds[25, 30] == 0
    thin = read_scribblesup(path, CLASSES, width=1).draw()
    assert (thin[10, 5:16] == 8).all()
    assert (thin[[9, 11], 7:14] == 255).all()


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (XML[:200], "not a ScribbleSup file"),
        ('<?xml version="1.0" encoding="foo"?>' + XML, "not a ScribbleSup file"),
        ('<?xml version="1.0" encoding="hex"?>' + XML, "not a ScribbleSup file"),
        ("", "not a ScribbleSup file"),
        (XML.replace("cat", "unicorn"), "unknown tag 'unicorn'"),
        (XML.replace("<width>40</width>", ""), "not a ScribbleSup file"),
        (XML.replace("<width>40", "<width>0"), "at least 1 x 1"),
        (XML.replace("<X>5</X>", "<X>five</X>"), "not a ScribbleSup file"),
        (XML.replace("<X>5</X>", ""), "not a ScribbleSup file"),
        (BOMB + XML.replace("2007_1.jpg", "&b;"), "declares a document type or entities"),
        ('<!DOCTYPE a SYSTEM "http://example.org/a.dtd">' + XML, "declares a document type or entities"),
        (
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + XML.replace("2007_1.jpg", "&x;"),
            "which is refused",
        ),
    ],
)
def test_bad_xml_is_named(tmp_path, content, message):
    path = tmp_path / "2007_1.xml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_scribblesup(path, CLASSES)
    assert str(path) in str(error.value)


def test_missing_and_unreadable_xml_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.xml"):
        read_scribblesup(tmp_path / "absent.xml", CLASSES)
    (tmp_path / "folder.xml").mkdir()
    with pytest.raises(ValueError, match=r"folder\.xml: not a ScribbleSup file"):
        read_scribblesup(tmp_path / "folder.xml", CLASSES)
