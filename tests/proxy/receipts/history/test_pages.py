"""One pass through a billing history, whatever the provider makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from proxy.providers.connection import MaybeSent, NeverSent
from proxy.receipts.history.groups import Group
from proxy.receipts.history.pages import (
    Gone,
    HistoryReader,
    Pass,
    Reading,
    Refused,
    Unreadable,
)
from proxy.receipts.history.walks import Endpoint
from proxy.receipts.receipt import SlowDown
from tests.doubles.fake_upstream import FakeAnswer, never
from tests.proxy.receipts.history.fake_history import (
    NOON_MS,
    Configured,
    FakeHistory,
    as_json,
    raw,
)

HOUR_MS = 3_600_000
SETTLE_MS = 60_000
ENDPOINTS = ("usage", "usage-history")
EXPIRED = b'{"error":"Invalid or expired cursor; restart from the first page"}'

endpoints = pytest.mark.parametrize("endpoint", ENDPOINTS)
forms = pytest.mark.parametrize("form", ["json", "csv"])


class Reads:
    """Reads a history that a test prepared."""

    def __init__(self, history: FakeHistory, **options: Any) -> None:
        self.history = history
        self.handed_on: list[Group] = []
        settings = options.pop("settings", Configured())
        options = {"timeout_ms": 60_000, "settle_ms": SETTLE_MS, **options}
        self.reader = HistoryReader(history, settings, **options)

    async def read(self, endpoint: Endpoint = "usage-history") -> Reading:
        async def put(groups: Sequence[Group]) -> None:
            self.handed_on += groups

        return await self.reader.read(NOON_MS - HOUR_MS, NOON_MS + HOUR_MS, endpoint, put)

    async def whole(self, endpoint: Endpoint = "usage-history") -> Pass:
        found = await self.read(endpoint)
        assert isinstance(found, Pass), found
        assert found.stopped is None
        return found


def history(count: int = 10, *, apart_ms: int = 1, page_rows: int = 4) -> FakeHistory:
    """Return rows of which each three are one call."""
    rows = [
        raw(NOON_MS + number * apart_ms, f"chatcmpl-{number // 3}", sku=str(number))
        for number in range(count)
    ]
    return FakeHistory(rows, page_rows=page_rows)


def refusal(status: int, body: bytes = b'{"error":"no"}', **headers: str) -> FakeAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return FakeAnswer(body, status=status, headers=named)


@endpoints
@forms
async def test_all_pages_are_read_and_calls_on_two_of_them_are_whole(
    endpoint: Endpoint, form: Any
) -> None:
    reads = Reads(history(), form=form)

    found = await reads.whole(endpoint)

    assert [len(group.rows) for group in found.groups] == [3, 3, 3, 1]
    assert found.newest_ms == NOON_MS + 9
    assert found.counts == {"rows": 10}
    assert len(reads.history.sent) == 3


@endpoints
@forms
async def test_an_empty_history_is_a_whole_one(endpoint: Endpoint, form: Any) -> None:
    found = await Reads(FakeHistory(), form=form).whole(endpoint)

    assert (found.groups, found.newest_ms) == ((), None)


@pytest.mark.parametrize(
    "base_url", ["https://provider.example/api", "https://provider.example/api/v1/"]
)
@pytest.mark.parametrize(("form", "accept"), [("json", "application/json"), ("csv", "text/csv")])
async def test_it_is_asked_by_the_admin_key_in_one_form(
    base_url: str, form: Any, accept: str
) -> None:
    settings = Configured(base_url=base_url, headers={"x-org": "us"})
    reads = Reads(FakeHistory(), form=form, settings=settings)

    await reads.whole("usage-history")
    await reads.whole("usage")

    cursor, numbered = reads.history.sent
    assert str(cursor.url).split("?")[0] == "https://provider.example/api/v1/billing/usage-history"
    assert str(numbered.url).split("?")[0] == "https://provider.example/api/v1/billing/usage"
    assert cursor.headers == numbered.headers
    assert dict(cursor.headers) == {
        "Authorization": "Bearer VENICE_ADMIN_KEY_own",
        "x-org": "us",
        "Accept": accept,
        "Accept-Encoding": "identity",
    }


async def test_paths_may_be_others() -> None:
    paths = {"billing_usage": "/old/billing/usage", "billing_usage_history": "/new"}
    reads = Reads(FakeHistory(), settings=Configured(paths=paths))

    await reads.whole("usage")
    await reads.whole("usage-history")

    assert [target.url.path for target in reads.history.sent] == [
        "/api/old/billing/usage",
        "/api/new",
    ]


async def test_a_cursor_travels_unharmed() -> None:
    reads = Reads(FakeHistory())
    cursor = "AZ+/=&%20 ?#"
    reads.history.instead = [FakeAnswer(as_json({"data": [], "nextCursor": cursor})), refusal(500)]

    await reads.read()

    assert reads.history.queries[1] == {"cursor": cursor}


# Keys…


@endpoints
async def test_without_an_admin_key_nothing_is_asked(endpoint: Endpoint) -> None:
    reads = Reads(FakeHistory(), settings=Configured(billing_key=""))

    found = await reads.read(endpoint)

    assert found == Refused("there is no billing_key: make an admin key and set it")
    assert reads.history.sent == []


@endpoints
async def test_an_inference_key_is_refused_with_the_providers_reason(endpoint: Endpoint) -> None:
    settings = Configured(billing_key="VENICE_INFERENCE_KEY_own")

    found = await Reads(FakeHistory(), settings=settings).read(endpoint)

    assert found == Refused("the billing key was refused: Admin API key required")


@pytest.mark.parametrize("status", [402, 403])
async def test_other_refusals_of_the_key(status: int) -> None:
    reads = Reads(FakeHistory())
    reads.history.instead = [refusal(status, b'{"x402Version":1}')]

    assert await reads.read() == Refused('the billing key was refused: {"x402Version":1}')


# …what is gone, and what wants patience…


async def test_the_old_endpoint_may_be_gone() -> None:
    reads = Reads(FakeHistory())
    reads.history.usage_is_gone = True

    assert await reads.read("usage") == Gone()


@pytest.mark.parametrize(
    ("said", "wait_ms"),
    [
        ("60", 60_000),
        (" 0 ", 0),
        ("99999999", 86_400_000),
        ("9" * 5_000, None),
        ("soon", None),
        ("-5", None),
        ("²", None),
        ("", None),
    ],
)
async def test_the_provider_may_want_patience(said: str, wait_ms: int | None) -> None:
    reads = Reads(FakeHistory())
    reads.history.instead = [refusal(429, retry_after=said)]

    assert await reads.read() == SlowDown(wait_ms)


# …pages that do not hold…


@forms
async def test_a_cursor_that_expires_leads_back_to_the_first_page(form: Any) -> None:
    reads = Reads(history(), form=form)
    reads.history.instead = [None, refusal(400, EXPIRED), None, None, refusal(400, EXPIRED)]

    found = await reads.whole()

    assert found.counts == {"rows": 10}
    assert ["startTimestamp" in query for query in reads.history.queries] == [
        *(True, False),
        *(True, False, False),
        *(True, False, False),
    ]


async def test_a_cursor_that_always_expires_is_given_up() -> None:
    reads = Reads(history())
    for _ in range(3):
        reads.history.instead += [None, refusal(400, EXPIRED)]

    found = await reads.read()

    assert isinstance(found, Unreadable)
    assert "3 times" in found.reason
    assert "expired cursor" in found.reason
    assert len(reads.history.sent) == 6


async def test_a_first_page_that_is_refused_is_not_asked_for_again() -> None:
    reads = Reads(history())
    reads.history.instead = [refusal(400, b'{"error":"pageSize must be 10"}')]

    assert await reads.read() == Unreadable("status 400: pageSize must be 10")
    assert len(reads.history.sent) == 1


async def test_rows_that_vanish_between_numbered_pages_are_read_again() -> None:
    reads = Reads(history())

    def vanish(pages: int) -> None:
        if pages == 1:
            del reads.history.rows[0]

    reads.history.before_page = vanish
    found = await reads.whole("usage")

    assert found.counts == {"rows": 9}
    assert [query["page"] for query in reads.history.queries] == ["1", "2", "1", "2", "3"]


async def test_rows_that_vanish_all_the_time_are_given_up() -> None:
    reads = Reads(history(30))

    def vanish(_: int) -> None:
        reads.history.rows.pop()

    reads.history.before_page = vanish

    found = await reads.read("usage")

    assert isinstance(found, Unreadable)
    assert len(reads.history.sent) == 6


async def test_an_account_in_use_grows_while_it_is_read_and_nothing_is_missed() -> None:
    reads = Reads(history())
    original = len(reads.history.rows)

    def grow(pages: int) -> None:
        if 0 < pages <= 3:
            reads.history.rows.append(raw(NOON_MS, f"late-{pages}", sku=f"late-{pages}"))
            reads.history.rows.append(raw(NOON_MS + 100 + pages, f"new-{pages}"))

    reads.history.before_page = grow
    found = await reads.whole("usage")

    seen = {group.request_id for group in found.groups}
    assert {f"chatcmpl-{number // 3}" for number in range(original)} <= seen
    assert {f"new-{number}" for number in range(1, 4)} <= seen
    assert found.counts["duplicates"] > 0
    assert sum(map(Decimal, (group.amounts["USD"] for group in found.groups))) == (
        found.counts["rows"] - found.counts["duplicates"]
    ) * Decimal("0.5")


# …what is no history at all…


@pytest.mark.parametrize("status", [301, 404, 422, 500, 502])
async def test_other_statuses_are_told_with_what_was_said(status: int) -> None:
    for body, said in [
        (b"<html>\n<h1>Bad Gateway</h1>", "<html> <h1>Bad Gateway</h1>"),
        (b'{"error":{"message":"later"}}', "later"),
        (b'{"error":5}', '{"error":5}'),
        (b"[" * 100_000, "[" * 57 + "..."),
        (b"", "nothing"),
    ]:
        reads = Reads(FakeHistory())
        reads.history.instead = [refusal(status, body)]

        assert await reads.read() == Unreadable(f"status {status}: {said}")


@forms
@endpoints
@pytest.mark.parametrize("body", [b"<html>Maintenance</html>", b"[]", b"\xff", b'{"data":5}'])
async def test_what_is_no_page_is_told(endpoint: Endpoint, form: Any, body: bytes) -> None:
    reads = Reads(FakeHistory(), form=form)
    reads.history.instead = [FakeAnswer(body)]

    found = await reads.read(endpoint)

    assert isinstance(found, Unreadable)
    assert "no page" in found.reason


@pytest.mark.parametrize("fault", [NeverSent("unreachable"), MaybeSent("broken")])
async def test_a_provider_that_does_not_answer_is_told(fault: Exception) -> None:
    reads = Reads(FakeHistory())
    reads.history.instead = [fault]

    assert await reads.read() == Unreadable(str(fault))


async def test_an_answer_that_breaks_off_or_never_ends_is_told_and_closed() -> None:
    for answer in (FakeAnswer(b"{", MaybeSent("cut")), FakeAnswer(*[b"x" * 2**20] * 33)):
        reads = Reads(FakeHistory())
        reads.history.instead = [answer]

        assert isinstance(await reads.read(), Unreadable)
        assert answer.ends[-1] == "closed"


async def test_an_answer_that_hangs_is_given_up_and_closed() -> None:
    answer = FakeAnswer(b"{", never)
    reads = Reads(FakeHistory(), timeout_ms=20)
    reads.history.instead = [answer]

    assert await reads.read() == Unreadable("no whole page came within 0.02 seconds")
    assert answer.ends == ["closed"]


async def test_who_reads_may_be_stopped() -> None:
    waiting = asyncio.Event()

    async def hang() -> None:
        waiting.set()
        await never()

    answer = FakeAnswer(hang)
    reads = Reads(FakeHistory())
    reads.history.instead = [answer]
    task = asyncio.create_task(reads.read())
    await waiting.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert answer.ends == ["closed"]


async def test_answers_are_let_go() -> None:
    answer = FakeAnswer(as_json({"data": [], "nextCursor": None}))
    reads = Reads(FakeHistory())
    reads.history.instead = [answer]

    await reads.whole()

    assert answer.ends == ["released"]


async def test_pages_that_lead_nowhere_end_the_pass() -> None:
    reads = Reads(FakeHistory())
    reads.history.instead = [FakeAnswer(as_json({"data": []}))]

    assert isinstance(await reads.read(), Unreadable)


async def test_bad_rows_are_counted_and_shown() -> None:
    reads = Reads(history(3))
    reads.history.rows[1]["amount"] = "a lot"

    found = await reads.whole()

    assert found.counts == {"rows": 3, "bad": 1}
    assert found.bad[0].request_id == "chatcmpl-0"
    assert found.groups[0].flaws == (found.bad[0].reason,)


# …and what was stopped half-way.


@endpoints
@pytest.mark.parametrize(
    ("status", "stopped"), [(429, SlowDown(60_000)), (503, Unreadable("status 503: no"))]
)
async def test_a_pass_that_is_stopped_keeps_what_must_be_whole(
    endpoint: Endpoint, status: int, stopped: object
) -> None:
    reads = Reads(history(12, apart_ms=20_000))
    reads.history.instead = [None, None, refusal(status, retry_after="60")]

    found = await reads.read(endpoint)

    # Eight rows were read, up to 140 s after noon. What ended more than 60 s before that is whole.
    assert isinstance(found, Pass)
    assert found.stopped == stopped
    assert [group.request_id for group in found.groups] == ["chatcmpl-0"]
    assert found.resume_ms == NOON_MS + 140_000 - 2 * SETTLE_MS


@endpoints
async def test_a_pass_that_read_nothing_is_what_stopped_it(endpoint: Endpoint) -> None:
    reads = Reads(history())
    reads.history.instead = [refusal(503)]

    assert await reads.read(endpoint) == Unreadable("status 503: no")


async def test_of_rows_in_no_order_nothing_is_whole_before_all_are_read() -> None:
    reads = Reads(history(12, apart_ms=20_000), rows_held_max=1)
    page = {"data": reads.history.rows[4::-1], "nextCursor": "more"}
    reads.history.instead = [FakeAnswer(as_json(page)), refusal(503)]

    assert await reads.read() == Unreadable("status 503: no")
    assert reads.handed_on == []


async def test_a_very_long_history_is_left_to_the_next_pass() -> None:
    reads = Reads(history(30, apart_ms=60_000), pages_max=3)

    found = await reads.read()

    assert isinstance(found, Pass)
    assert found.stopped == Unreadable("there are more than 3 pages")
    assert found.resume_ms == NOON_MS + 11 * 60_000 - 2 * SETTLE_MS


@endpoints
async def test_what_is_whole_is_handed_on_before_memory_runs_out(endpoint: Endpoint) -> None:
    reads = Reads(history(60, apart_ms=20_000), rows_held_max=6)

    found = await reads.whole(endpoint)

    assert len(reads.handed_on) > 10
    assert len(found.groups) < 10
    assert {len(group.rows) for group in (*reads.handed_on, *found.groups)} == {3}
    assert len({group.request_id for group in (*reads.handed_on, *found.groups)}) == 20


async def test_too_many_rows_at_once_are_given_up() -> None:
    reads = Reads(history(40), rows_at_once_max=20)

    found = await reads.read()

    assert isinstance(found, Pass)
    assert found.stopped == Unreadable("more than 20 rows came at once")
    assert found.groups == ()
