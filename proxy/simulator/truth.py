"""The ground truth: every inference call that arrived, what it really used and what was billed."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec

from proxy.simulator.keys import CREDENTIAL_HEADERS, KeyKind
from proxy.simulator.prices import Item
from proxy.simulator.scenario import PLAIN, Scenario
from proxy.simulator.usage import NOTHING, Usage

#: About 1 kB each; the oldest half is folded into the totals when there are more.
CALLS_MAX: Final = 400_000


class Call(msgspec.Struct, kw_only=True, eq=False):
    """One request that arrived at a metered path, or that leaked a key of the proxy."""

    id: str
    index: int
    at: float
    method: str
    path: str
    dialect: str
    flavour: str
    key_kind: KeyKind
    #: The secret itself; only its kind is ever shown.
    key: str
    headers: tuple[tuple[str, str], ...]
    body_bytes: int
    body_sha256: str
    model: str = ""
    answered_model: str = ""
    streamed: bool = False
    choices: int = 1
    background: bool = False
    #: The id in the body of the answer.
    body_id: str = ""
    #: Every id that a look-up may use: of the generation header, the body, the request header.
    generation_ids: tuple[str, ...] = ()
    #: Where each of them stands: `body`, `generation_header` or `request_header`.
    id_places: tuple[str, ...] = ()
    status: int = 0
    error_type: str = ""
    #: Everything that was used, iterations included.
    usage: Usage = NOTHING
    #: What the answer reports at its top level.
    reported_usage: Usage = NOTHING
    items: tuple[Item, ...] = ()
    listed_nano_usd: int = 0
    billed_nano_usd: int = 0
    currency: str = "USD"
    #: `metered`, `subscription`, `fallbackMetered`, or `none` where nothing was billed.
    bill_type: str = "none"
    #: What the call took from a subscription, in thousand-millionths of a Flow.
    nano_flows: int = 0
    #: When the billing endpoint knows the amount; never if None.
    billed_at: float | None = None
    receipt_lookups: int = 0
    finish: str = "stop"
    events: int = 0
    cut: bool = False
    ended_early: bool = False
    failed_in_stream: bool = False
    client_left: bool = False
    leaked_client_key: bool = False
    finished_at: float | None = None
    scenario: Scenario = PLAIN


_HIDDEN: Final = frozenset({"key", "scenario", "items", "headers", "id_places"})


def describe(call: Call) -> dict[str, Any]:
    """A call as `GET /simulator/calls` shows it, without any secret."""
    row: dict[str, Any] = {
        name: getattr(call, name) for name in call.__struct_fields__ if name not in _HIDDEN
    }
    row["headers"] = {
        name: call.key_kind.value if name in CREDENTIAL_HEADERS else value
        for name, value in call.headers
    }
    row["bill"] = [
        {"code": item.code, "count": item.count, "pico_usd": item.pico_usd} for item in call.items
    ]
    return row


class Totals(msgspec.Struct, kw_only=True):
    """Sums over calls; money in nano-dollars."""

    calls: int = 0
    answered: int = 0
    refused: int = 0
    streamed: int = 0
    cut: int = 0
    client_left: int = 0
    leaked_client_keys: int = 0
    in_flight: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    web_searches: int = 0
    listed_nano_usd: int = 0
    billed_nano_usd: int = 0
    nano_flows: int = 0

    def count(self, call: Call) -> None:
        """Add one call."""
        self.calls += 1
        self.answered += call.status == HTTPStatus.OK
        self.refused += call.status >= HTTPStatus.BAD_REQUEST
        self.in_flight += call.finished_at is None
        self.streamed += call.streamed
        self.cut += call.cut
        self.client_left += call.client_left
        self.leaked_client_keys += call.leaked_client_key
        self.listed_nano_usd += call.listed_nano_usd
        self.billed_nano_usd += call.billed_nano_usd
        self.nano_flows += call.nano_flows
        for part in call.usage.__struct_fields__:
            setattr(self, part, getattr(self, part) + getattr(call.usage, part))


class Truth:
    """The record of all calls, in the order of arrival."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.calls: list[Call] = []
        self._by_generation: dict[str, Call] = {}
        self._folded = Totals()
        self._arrived = 0
        #: Requests that cost nothing, by operation: look-ups, lists, counts.
        self.free_requests: dict[str, int] = {}

    def next_index(self) -> int:
        """The index of the call that is added next; never used twice."""
        return self._arrived

    def add(self, call: Call) -> None:
        """Remember a call that has arrived."""
        self._arrived += 1
        self.calls.append(call)
        if len(self.calls) > CALLS_MAX:
            self._fold(CALLS_MAX // 2)

    def index_ids(self, call: Call) -> None:
        """Let look-ups find a call by the ids of its answer."""
        for generation_id in call.generation_ids:
            self._by_generation[generation_id] = call

    def finish(self, call: Call) -> None:
        """Note that the answer has ended, however it did."""
        if call.finished_at is None:
            call.finished_at = self._clock()

    def find(self, generation_id: str) -> Call | None:
        """The call whose answer carried this id."""
        return self._by_generation.get(generation_id)

    def count_free_request(self, operation: str) -> None:
        """Note a request that is not a call."""
        self.free_requests[operation] = self.free_requests.get(operation, 0) + 1

    def clear(self) -> None:
        """Forget every call; indices go on."""
        self.calls.clear()
        self._by_generation.clear()
        self.free_requests.clear()
        self._folded = Totals()

    def since(self, index: int) -> Iterable[Call]:
        """The calls from an index on."""
        return (call for call in self.calls if call.index >= index)

    def totals(self) -> Totals:
        """Sums over all calls since the last clear."""
        totals = msgspec.structs.replace(self._folded)
        for call in self.calls:
            totals.count(call)
        return totals

    def _fold(self, number: int) -> None:
        for call in self.calls[:number]:
            self._folded.count(call)
            for generation_id in call.generation_ids:
                self._by_generation.pop(generation_id, None)
        del self.calls[:number]
