"""Reading a billing history over HTTP: one pass through all of its pages from a time on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from proxy.providers.connection import Upstream, UpstreamFailed, read_whole
from proxy.providers.interface import ProviderSettings, Target
from proxy.providers.targets import bearer, billing_target, without_version
from proxy.receipts.history.groups import Gathering, Group
from proxy.receipts.history.rows import BadRow, Form, NotAPage, Page, read_page, shown
from proxy.receipts.history.walks import Ask, Astray, Done, Endpoint, Shifted, Walk, walk
from proxy.receipts.receipt import SlowDown

# A page of 1,000 rows is about 350 kB.
BODY_BYTES_MAX: Final = 32 * 1024 * 1024
# Two million rows. What is read by then is kept, and the next pass goes on from there.
PAGES_MAX: Final = 2_000
# About 40 MB; above it what is whole is handed on before the pass is over…
ROWS_HELD_MAX: Final = 50_000
# …and if so many rows came within the time in which a request's rows come, it is given up.
ROWS_AT_ONCE_MAX: Final = 200_000
#: How often a pass begins: a cursor expires, rows vanish while they are counted.
PASSES_MAX: Final = 3
#: An answer that asks for more patience than this is not believed.
WAIT_MS_MAX: Final = 86_400_000
# Where each endpoint is, and the name under which the configuration may have it elsewhere.
_PATHS: Final[Mapping[Endpoint, tuple[str, str]]] = {
    "usage": ("billing_usage", "/v1/billing/usage"),
    "usage-history": ("billing_usage_history", "/v1/billing/usage-history"),
}
_ACCEPT: Final[Mapping[Form, str]] = {"json": "application/json", "csv": "text/csv"}
# 402 is what Venice answers to a request without any key (2.4).
_KEY_REFUSED: Final = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN}
)

#: Takes groups while the pass goes on.
Put = Callable[[Sequence[Group]], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Gone:
    """The endpoint is no more, and says so (410)."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The key may not read the history: an admin key is needed."""

    #: A sentence without a full stop, for the log.
    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """No history came: HTML, cut, silent, or pages that do not hold together."""

    #: A sentence without a full stop, for the log.
    reason: str


Stopped = SlowDown | Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one reading of the history brought, besides what it handed on while it went."""

    groups: tuple[Group, ...]
    #: The time of the newest row, in the provider's time; None: there is nothing.
    newest_ms: int | None
    #: Why it did not come to the end; None: it did.
    stopped: Stopped | None = None
    #: If it was stopped: the time from which on there is still something to be read.
    resume_ms: int | None = None
    #: Of rows: `rows` in all, and among them `duplicates`, `credits`, `outside`, `bad`.
    counts: Mapping[str, int] = field(default_factory=dict)
    #: The first of the bad ones.
    bad: tuple[BadRow, ...] = ()


Reading = Pass | Gone | Refused | SlowDown | Unreadable


class HistoryReader:
    """Reads the billing history of one provider; never raises for what the provider does."""

    def __init__(
        self,
        upstream: Upstream,
        settings: ProviderSettings,
        *,
        form: Form = "json",
        timeout_ms: int,
        settle_ms: int,
        pages_max: int = PAGES_MAX,
        rows_held_max: int = ROWS_HELD_MAX,
        rows_at_once_max: int = ROWS_AT_ONCE_MAX,
    ) -> None:
        """Take where it is and how it is asked for.

        Args:
            upstream: what sends requests.
            settings: the provider's; `billing_key` must be an admin key.
            form: in which form the history is asked for.
            timeout_ms: for one page, all of it.
            settle_ms: how far apart, at the most, the rows of one request are.
            pages_max: how many pages a pass reads before it leaves the rest to the next one.
            rows_held_max: how many rows are held before what is whole is handed on.
            rows_at_once_max: of how many rows at the most it cannot be told if they are whole.
        """
        self._upstream = upstream
        self._settings = settings
        self._form = form
        self._timeout_s = timeout_ms / 1000
        self._settle_ms = settle_ms
        self._pages_max = pages_max
        self._rows_held_max = rows_held_max
        self._rows_at_once_max = rows_at_once_max

    async def read(self, start_ms: int, end_ms: int, endpoint: Endpoint, put: Put) -> Reading:
        """Read all there is from a time on.

        Args:
            start_ms: the first moment wanted, in the provider's time.
            end_ms: a moment that is in the future for the provider, too.
            endpoint: which of the two is asked.
            put: takes groups while the pass goes on, if there are very many.
        """
        if not self._settings.billing_key:
            return Refused("there is no billing_key: make an admin key and set it")
        reason = ""
        for _ in range(PASSES_MAX):
            gathering = Gathering(start_ms, end_ms)
            outcome = await self._pass(walk(endpoint, start_ms, end_ms), endpoint, gathering, put)
            if not isinstance(outcome, Shifted):
                return self._reading(gathering, outcome)
            reason = outcome.reason
        return Unreadable(f"the pages were read {PASSES_MAX} times and did not hold: {reason}")

    async def _pass(
        self, way: Walk, endpoint: Endpoint, gathering: Gathering, put: Put
    ) -> Done | Shifted | Gone | Refused | Stopped:
        step = way.first()
        for number in range(self._pages_max):
            page = await self._page(endpoint, step, is_first=number == 0)
            if not isinstance(page, Page):
                return page
            gathering.take(page.entries)
            after = way.after(page)
            if isinstance(after, Astray):
                return Unreadable(after.reason)
            if not isinstance(after, Ask):
                return after
            step = after
            settled_ms = self._settled_ms(gathering)
            if gathering.held > self._rows_held_max and settled_ms is not None:
                await put(gathering.closed(settled_ms))
            if gathering.held > self._rows_at_once_max:
                return Unreadable(f"more than {self._rows_at_once_max} rows came at once")
        return Unreadable(f"there are more than {self._pages_max} pages")

    def _reading(self, gathering: Gathering, outcome: Done | Gone | Refused | Stopped) -> Reading:
        """Return what a pass comes to.

        One that was stopped has still read everything up to shortly before where it was, if rows
        came in order; so a long history is read piece by piece and not always from the beginning.
        """
        if isinstance(outcome, Gone | Refused):
            return outcome
        stopped = None if isinstance(outcome, Done) else outcome
        settled_ms = resume_ms = None
        if stopped is not None:
            settled_ms = self._settled_ms(gathering)
            if settled_ms is None:
                return stopped
            # A request that may have more rows may have had its first so much earlier.
            resume_ms = settled_ms - self._settle_ms
        return Pass(
            groups=gathering.closed(settled_ms),
            newest_ms=gathering.newest_ms,
            stopped=stopped,
            resume_ms=resume_ms,
            counts=gathering.counts,
            bad=tuple(gathering.bad),
        )

    def _settled_ms(self, gathering: Gathering) -> int | None:
        """Return before when requests must have all their rows; None: it cannot be told."""
        if gathering.newest_ms is None or not gathering.ascending:
            return None
        return gathering.newest_ms - self._settle_ms

    async def _page(
        self, endpoint: Endpoint, ask: Ask, *, is_first: bool
    ) -> Page | Shifted | Gone | Refused | Stopped:
        target = self._target(endpoint, ask)
        try:
            async with asyncio.timeout(self._timeout_s):
                status, headers, body = await self._fetch(target)
        except UpstreamFailed as fault:
            return Unreadable(str(fault))
        except TimeoutError:
            return Unreadable(f"no whole page came within {self._timeout_s:g} seconds")
        if status != HTTPStatus.OK:
            return _refusal(status, headers, body, is_first=is_first)
        try:
            # A page of megabytes takes a while: calls go on meanwhile.
            return await asyncio.to_thread(read_page, body, self._form, headers)
        except NotAPage as error:
            return Unreadable(f"what came is no page of a billing history: {error}")

    async def _fetch(self, target: Target) -> tuple[int, Mapping[str, str], bytes]:
        answer = await self._upstream.send(target, list(target.headers), None)
        try:
            body = await read_whole(answer, BODY_BYTES_MAX)
        except BaseException:
            answer.close()
            raise
        answer.release()
        return answer.status, answer.headers, body

    def _target(self, endpoint: Endpoint, ask: Ask) -> Target:
        settings = self._settings
        name, path = _PATHS[endpoint]
        base_url = without_version(settings.base_url)
        target = billing_target(base_url, settings, name, path, bearer(settings.billing_key))
        others = (pair for pair in target.headers if pair[0].lower() != "accept")
        accepted = (("Accept", _ACCEPT[self._form]), ("Accept-Encoding", "identity"))
        url = target.url.update_query(ask.query)
        return Target(method=target.method, url=url, headers=(*others, *accepted))


def _refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, is_first: bool
) -> Shifted | Gone | Refused | Stopped:
    if status == HTTPStatus.GONE:
        return Gone()
    said = _said(body)
    if status in _KEY_REFUSED:
        return Refused(f"the billing key was refused: {said}")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return SlowDown(_wait_ms(headers))
    if status == HTTPStatus.BAD_REQUEST and not is_first:
        # 2.2: "Invalid or expired cursor; restart from the first page".
        return Shifted(said)
    return Unreadable(f"status {status}: {said}")


def _said(body: bytes) -> str:
    """Return what an error says; Venice writes it in several ways (2.4)."""
    text = body[:4_096].decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return shown(text) or "nothing"
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return shown(error if isinstance(error, str) else text)


def _wait_ms(headers: Mapping[str, str]) -> int | None:
    """Return how long to wait, if that is told in seconds."""
    text = headers.get("retry-after", "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > len(str(WAIT_MS_MAX)):
        return None
    return min(int(text) * 1_000, WAIT_MS_MAX)
