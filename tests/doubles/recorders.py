"""Observers that keep what they are told."""

from __future__ import annotations

from policies.decisions import Moved
from proxy.gateway.call import Ticket
from proxy.gateway.settle import Conclusion
from proxy.prices.lists import PriceChange


class Recorder:
    """Whoever counts: every event by its name, with what tells it from others."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []

    @property
    def names(self) -> list[object]:
        """The events by name alone."""
        return [event[0] for event in self.events]

    # Of the books…

    def booked(self, ticket: Ticket, conclusion: Conclusion, moved: Moved) -> None:
        self.events.append(("booked", moved.state.value))

    def put_off(self, ticket: Ticket, conclusion: Conclusion) -> None:
        self.events.append(("put_off", conclusion.operation.value))

    def lost(self, ticket: Ticket, conclusion: Conclusion, fault: str) -> None:
        self.events.append(("lost", fault))

    # Of the leases…

    def expired(self, call_id: str) -> None:
        self.events.append(("expired", call_id))

    # Of the forwarder…

    def client_left(self) -> None:
        self.events.append(("client_left",))

    def upstream_answered(self, provider: str, status: int) -> None:
        self.events.append(("upstream_answered", provider, status))

    def upstream_refused(self, provider: str, status: int, label: str | None) -> None:
        self.events.append(("upstream_refused", provider, status, label))

    # Of the prices…

    def price_changed(self, change: PriceChange) -> None:
        self.events.append(("price_changed", change.model))

    def price_list_failed(self, provider: str, fault: str) -> None:
        self.events.append(("price_list_failed", provider, fault))
