"""Responses that can be asked for again, and those that complete in the background."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from proxy.simulator import responses
from proxy.simulator.answers import Answer, encode

#: The oldest is forgotten when there are more.
_STORED_MAX: Final = 10_000


class StoredResponse:
    """One response and how far it has come."""

    def __init__(self, answer: Answer, *, ready_at: float) -> None:
        self.answer = answer
        self._ready_at = ready_at
        self._polls_left = answer.scenario.background_polls if answer.asked.background else None
        self._is_cancelled = False

    def status(self, now: float) -> str:
        """The state of the response, without counting as a poll."""
        if self._is_cancelled:
            return "cancelled"
        waits = self._polls_left > 0 if self._polls_left is not None else now < self._ready_at
        return "in_progress" if waits else responses.final_status(self.answer)

    def poll(self, now: float) -> str:
        """The state of the response; a poll may be what completes it."""
        if self._polls_left:
            self._polls_left -= 1
        return self.status(now)

    def cancel(self, now: float) -> str:
        """Stop a response that has not ended; the usage of a cancelled one is never told."""
        if self.status(now) == "in_progress":
            self._is_cancelled = True
        return self.status(now)


class StoredResponses:
    """Responses by id."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._stored: OrderedDict[str, StoredResponse] = OrderedDict()

    def add(self, answer: Answer) -> None:
        """Keep a response; one in the background is ready later."""
        delay_s = answer.scenario.background_after_s if answer.asked.background else 0.0
        self._stored[answer.id] = StoredResponse(answer, ready_at=self._clock() + delay_s)
        if len(self._stored) > _STORED_MAX:
            self._stored.popitem(last=False)

    def tokens_of(self, response_id: str | None) -> int:
        """What a chain reads again when it goes on after this response."""
        stored = self._stored.get(response_id or "")
        return stored.answer.usage.total if stored else 0

    def poll(self, response_id: str) -> bytes | None:
        """The body of a look-up, or None when there is no such response."""
        stored = self._stored.get(response_id)
        if stored is None:
            return None
        return encode(responses.document(stored.answer, stored.poll(self._clock())))

    def cancel(self, response_id: str) -> bytes | None:
        """The body of a cancellation, or None when there is no such response."""
        stored = self._stored.get(response_id)
        if stored is None:
            return None
        return encode(responses.document(stored.answer, stored.cancel(self._clock())))

    def events(self, response_id: str, starting_after: int) -> list[bytes] | None:
        """The stream of a response from an event on, as if it had been followed."""
        stored = self._stored.get(response_id)
        return None if stored is None else responses.events(stored.answer)[starting_after + 1 :]
