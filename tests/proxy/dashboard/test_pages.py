"""Pages as text: whatever is printed is escaped."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from proxy.admin.access import Access
from proxy.dashboard.assets import Assets
from proxy.dashboard.pages import Pages, time_element
from proxy.dashboard.sessions import Session
from proxy.dashboard.wording import NOTHING
from tests.doubles.fake_clock import NOON_MS
from tests.proxy.dashboard.story import HTML


@pytest.fixture
def pages() -> Pages:
    return Pages(Assets(), HTML)


def session(role: str = "admin", *teams: str) -> Session:
    access = Access(role=role, teams=frozenset(teams), actor=HTML)  # type: ignore[arg-type]  # It is one of the roles.
    return Session(secret="s", access=access, csrf='c"><b>')


def test_markup_in_names_is_shown_as_text(pages: Pages) -> None:
    text = pages.failure(404, HTML, HTML, session=session("viewer", HTML)).text or ""

    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4
    assert 'value="c&#34;&gt;&lt;b&gt;"' in text


def test_a_page_has_no_style_and_no_script_of_its_own(pages: Pages) -> None:
    text = pages.failure(500, "Failed", "why", session=session()).text or ""

    assert "style=" not in text
    assert "<style" not in text
    assert " onclick" not in text
    assert text.count("<script") == text.count("<script src=")


def test_navigation_shows_where_one_is_and_what_one_may_see(pages: Pages) -> None:
    values = {"said": "", "status": 200}
    everything = pages.show(
        "failure.html", title="x", place="/keys", session=session(), values=values
    ).text
    of_a_team = pages.show(
        "failure.html", title="x", session=session("viewer", "red"), values=values
    ).text

    assert everything is not None
    assert of_a_team is not None
    assert '<a href="/keys" aria-current="page">' in everything
    assert "/wallets" in everything
    assert "/wallets" not in of_a_team
    assert "viewer of red" in of_a_team


def test_a_value_that_is_missing_is_a_fault_and_not_an_empty_text(pages: Pages) -> None:
    with pytest.raises(UndefinedError):
        pages.show("failure.html", title="x")


def test_times_are_for_people_and_for_machines() -> None:
    both = '<time datetime="2026-11-23T13:00:00Z" title="23 Nov 2026, 13:00:00 UTC">{}</time>'

    assert time_element(NOON_MS) == both.format("23 Nov 2026, 13:00:00")
    assert time_element(NOON_MS, "minute") == both.format("23 Nov, 13:00")
    assert time_element("2026-11-23T13:00:00Z", "second") == both.format("23 Nov, 13:00:00")
    assert time_element(None) == NOTHING
