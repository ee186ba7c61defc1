"""SVG as text: whatever goes in is escaped."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from proxy.dashboard.svg import element, group, points

PRINTABLE = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Cn"]))


def test_attributes_are_named_as_svg_names_them() -> None:
    drawn = element("rect", class_="bar", stroke_width=1.5, x=3, fill=None)

    assert drawn == '<rect class="bar" stroke-width="1.5" x="3"></rect>'


def test_elements_lie_within_others() -> None:
    assert group([element("title", "a < b")], id="one") == (
        '<g id="one"><title>a &lt; b</title></g>'
    )


@given(PRINTABLE, PRINTABLE)
def test_texts_come_out_as_they_went_in(text: str, attribute: str) -> None:
    parsed = ET.fromstring(str(element("text", text, id=attribute)))

    assert (parsed.text or "") == text
    assert parsed.get("id") == attribute
    assert len(parsed) == 0


def test_a_path_goes_through_points() -> None:
    assert points([(0, 1.0), (2.256, 3)]) == "M0,1L2.26,3"
