"""Messages on their way: sent, tried again, and given up after a day."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp
from yarl import URL

from proxy.alerts.outbox import Message, Outbox
from proxy.alerts.webhooks import Format, body_of, headers_of, receiver_id
from proxy.providers.connection import MaybeSent, NeverSent
from proxy.providers.interface import Target

#: The first pause after a failure; it doubles each time.
RETRY_MS_MIN: Final = 10_000
RETRY_MS_MAX: Final = 3_600_000
#: One round; what is left comes with the next.
MESSAGES_MAX: Final = 50
_GONE: Final = 410
_OK: Final = range(200, 300)
UNDELIVERED_KIND: Final = "alert_undelivered"


class Sender(Protocol):
    """Whatever sends requests (`providers.connection.Upstream`)."""

    async def send(
        self, target: Target, headers: list[tuple[str, str]], body: bytes | None
    ) -> aiohttp.ClientResponse:
        """Send a request. Raises `NeverSent` or `MaybeSent`."""
        ...


class Observer(Protocol):
    """Whoever tells operators."""

    def alert_sent(self, topic: str, result: str) -> None:
        """A message reached its receiver, or did not: `delivered`, `failed` or `given_up`."""
        ...

    def alert_not_delivered(self, topic: str, receiver: str, reason: str) -> None:
        """A message is given up."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """One webhook."""

    url: str
    format: Format = "json"
    #: Empty: not signed.
    secret: str = ""


class Delivery:
    """Sends what is due."""

    def __init__(
        self,
        outbox: Outbox,
        receivers: Sequence[Receiver],
        sender: Sender,
        *,
        organization: str,
        now_ms: Callable[[], int],
        give_up_after_ms: int,
        note: Callable[[str, str], Awaitable[object]],
        observer: Observer,
    ) -> None:
        """Take the messages, who gets them, and how they get there.

        Args:
            outbox: what is to be sent.
            receivers: the webhooks of the configuration.
            sender: sends.
            organization: whose alerts they are.
            now_ms: by the ledger's clock.
            give_up_after_ms: how long a message is tried.
            note: writes an entry of a kind into the journal.
            observer: is told.
        """
        self._outbox = outbox
        self._receivers: Mapping[str, Receiver] = {
            receiver_id(each.url): each for each in receivers
        }
        self._sender = sender
        self._organization = organization
        self._now_ms = now_ms
        self._give_up_after_ms = give_up_after_ms
        self._note = note
        self._observer = observer

    @property
    def receivers(self) -> Sequence[str]:
        """Who is told, by what names them in the outbox."""
        return tuple(self._receivers)

    async def deliver(self) -> None:
        """Send what is due. Raises `LedgerUnavailable`."""
        for message in await self._outbox.due(MESSAGES_MAX):
            topic = str(message.alert.get("topic"))
            failure = await self._send(message)
            if failure is None:
                await self._outbox.done(message)
                self._observer.alert_sent(topic, "delivered")
            elif self._is_over(message):
                data = {"topic": topic, "name": message.alert.get("name"), "reason": failure}
                await self._note(UNDELIVERED_KIND, json.dumps(data))
                await self._outbox.done(message)
                self._observer.alert_sent(topic, "given_up")
                self._observer.alert_not_delivered(topic, message.receiver, failure)
            else:
                # A failure of many attempts is at most an hour old: not too far to shift.
                pause_ms = min(RETRY_MS_MIN << min(message.attempts, 16), RETRY_MS_MAX)
                await self._outbox.again(message, pause_ms)
                self._observer.alert_sent(topic, "failed")

    def _is_over(self, message: Message) -> bool:
        is_known = message.receiver in self._receivers
        return not is_known or self._now_ms() - message.at_ms >= self._give_up_after_ms

    async def _send(self, message: Message) -> str | None:
        """Send one message; return why it did not arrive, None: it did."""
        receiver = self._receivers.get(message.receiver)
        if receiver is None:
            return "its webhook is not configured any more"
        body = body_of(receiver.format, message.alert, self._organization)
        headers = headers_of(message.id, body, receiver.secret, self._now_ms() // 1000)
        target = Target(method="POST", url=URL(receiver.url), headers=())
        try:
            answer = await self._sender.send(target, list(headers), body)
        except (NeverSent, MaybeSent) as fault:
            return str(fault)
        answer.close()
        if answer.status in _OK:
            return None
        return f"the webhook answered {answer.status}"
