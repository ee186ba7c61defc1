"""What stands behind the `?` of an address."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from proxy.admin.calls import CallsQuery
from proxy.admin.cursors import cursor
from proxy.admin.queries import NoQuery, Query, invalid, read_query
from proxy.admin.replies import Refused
from proxy.admin.schemas import Fault
from proxy.admin.spend import SpendQuery

NOW_MS = 1_795_438_800_000


def read(text: str, model: type[Query] = CallsQuery) -> Any:
    return read_query(make_mocked_request("GET", f"/x?{text}"), model, NOW_MS)


def test_nothing_asks_for_nothing() -> None:
    query = read("")

    assert (query.team, query.limit, query.cursor) == (None, 50, None)


def test_each_part_is_read() -> None:
    query = read(
        f"team=red&key=key_1&model=*mini*&state=refused&limit=7&cursor={cursor('calls', 9)}"
    )

    assert (query.team, query.key, query.model, query.state) == (
        "red",
        "key_1",
        "*mini*",
        "refused",
    )
    assert (query.limit, query.cursor) == (7, 9)


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-11-23T13:00:00Z", NOW_MS),
        ("2026-11-23t13:00:00z", NOW_MS),
        ("2026-11-23T14:00:00.000%2B01:00", NOW_MS),
        ("2026-11-23T13:00:00.25Z", NOW_MS + 250),
        ("2026-11-23", NOW_MS - 13 * 3_600_000),
        ("30d", NOW_MS - 30 * 86_400_000),
        ("999999999d", 0),
        ("1969-12-31", 0),
        ("0001-01-01T00:00:00Z", 0),
    ],
)
def test_a_time_is_a_moment_a_day_or_how_long_ago(text: str, at_ms: int) -> None:
    assert read(f"since={text}").since == at_ms


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("limit=0", "limit", "is too small: the least is 1"),
        ("limit=501", "limit", "is too large: the most is 500"),
        ("limit=-1", "limit", "'-1' is not a number: write digits"),
        ("limit=ten", "limit", "'ten' is not a number"),
        ("limit=1e9", "limit", "'1e9' is not a number"),
        ("limit=1_0", "limit", "'1_0' is not a number"),
        ("limit=", "limit", "'' is not a number"),
        ("limit=99999999999999999999", "limit", "is not a number"),
        ("cursor=garbage", "cursor", "leave it out to begin anew"),
        (f"cursor={cursor('audit', 1)}", "cursor", "leave it out to begin anew"),
        ("state=done", "state", "there is expired, receipted, refused, released"),
        ("state=refusd", "state", "did you mean 'refused'?"),
        ("tema=red", "tema", "is not a field here: did you mean 'team'?"),
        ("zzz=1", "zzz", "there is cursor, key, limit, model, provider, since, state, team"),
        ("team=", "team", "is empty"),
        ("team=" + "x" * 501, "team", "is longer than 500 characters"),
        ("team=a%00b", "team", "holds a character that no name has"),
        ("team=a%0Ab", "team", "holds a character that no name has"),
        ("team=red&team=blue", "team", "is given twice: give it once"),
        ("since=yesterday", "since", "is not a time: write 2026-11-23T13:00:00Z"),
        ("since=2026-13-01", "since", "is not a time"),
        ("since=2026-02-30T00:00:00Z", "since", "is not a time"),
        ("since=2026-11-23T13:00:00", "since", "is not a time"),
        ("since=2026-11-23T13:00:00+01:00", "since", "a + is written %2B"),
        ("since=9999-12-31T23:59:59-23:59", "since", "is not a time"),
        ("since=-5d", "since", "is not a time"),
        ("until=", "until", "is not a time"),
    ],
)
def test_a_mistake_is_named_and_mended(text: str, field: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        read(text)

    assert (refused.value.status, refused.value.code) == (400, "invalid")
    messages = [each.message for each in refused.value.mistakes if each.field == field]
    assert any(said in message for message in messages), messages


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(Refused) as refused:
        read("limit=0&state=no&nothing=1&team=a&team=b")

    assert {each.field for each in refused.value.mistakes} == {"limit", "state", "nothing", "team"}


@pytest.mark.parametrize("text", ["group_by=", "group_by=tema", "group_by=team,team", "group_by=,"])
def test_a_grouping_is_some_of_those_that_there_are(text: str) -> None:
    with pytest.raises(Refused, match="group_by"):
        read(text, SpendQuery)


def test_where_nothing_can_stand_anything_is_a_mistake() -> None:
    with pytest.raises(Refused, match="x is not a field here: there is none"):
        read("x=1", NoQuery)


@given(st.dictionaries(st.sampled_from(sorted(CallsQuery.model_fields)), st.text(max_size=40)))
def test_no_text_is_a_fault(values: dict[str, str]) -> None:
    url = URL("/x").with_query(values)
    request = make_mocked_request("GET", str(url))

    try:
        assert isinstance(read_query(request, CallsQuery, NOW_MS), CallsQuery)
    except Refused as refused:
        assert refused.status == 400  # noqa: PT017 - Both ways are right.


def test_a_mistake_of_the_whole_body_says_so() -> None:
    assert str(invalid([Fault(message="is no JSON")])) == "the body is no JSON"
