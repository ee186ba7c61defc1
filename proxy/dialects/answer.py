"""What one answer has said so far, in whatever dialect."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, Final

import msgspec

from policies.usage import AtLeast, Exact, Metered, ReportedCost, Unknown, Usage, UsageLine
from proxy.dialects.counts import amount_of, decoded, is_absent, name_of
from proxy.dialects.interface import Reading

# Enough for a journal entry; a provider may put a whole page of HTML into a message.
ERROR_CHARS_MAX: Final = 2_000
_CODE_MAX: Final = 999_999
# The beginning of a body that was cut is searched for its id as far as any format has put it.
_ID_BYTES_SEARCHED: Final = 512

_NOTHING: Final = Usage()
_ID_FIRST: Final = re.compile(rb'\s*\{\s*"id"\s*:\s*"([^"\\]{1,256})"')
# Vercel and ZenMux name the id that their billing knows beside the dialect's own.
_GENERATION_ID: Final = re.compile(rb'"generationId"\s*:\s*"([^"\\]{1,256})"')
_ERROR: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(Any)


class Answer(ABC):
    """Collects; a dialect says how to read each piece."""

    def __init__(self) -> None:
        self.generation_id: str | None = None
        #: The dialect's end was seen.
        self.terminal = False
        self.model: str | None = None
        self.service_tier: str | None = None
        self.finish: str | None = None
        self.error: str | None = None
        self.error_code: str | None = None
        self.produced_output = False
        self.status: str | None = None
        self._other_ids: list[str] = []
        self._tool_calls: dict[str, int] = {}
        self._amounts: dict[str, str] = {}
        self._lines: tuple[UsageLine, ...] = ()
        #: Usage was seen, but what came later makes it no more than a part of the truth.
        self._doubtful = False

    @abstractmethod
    def tells(self, block: bytes) -> bool:
        """Say whether a block of events may tell something; called for every chunk, so it is quick.

        A key stands in quotes, which a text inside JSON cannot contain unescaped: looking for
        `"usage"` finds every one, and what is found beside them is only decoded in vain.
        """

    @abstractmethod
    def note(self, data: bytes) -> None:
        """Take note of one event's data. Never raises, whatever the bytes are."""

    @abstractmethod
    def note_body(self, body: bytes) -> None:
        """Take note of an answer that is no stream. Never raises, whatever the bytes are."""

    @property
    @abstractmethod
    def usage_is_final(self) -> bool:
        """The usage that was seen will not change."""

    def identify(self, identifier: object, model: object) -> None:
        """Take the first id and the last model's name."""
        if self.generation_id is None:
            self.generation_id = name_of(identifier)
        self.model = name_of(model) or self.model

    def identify_elsewhere(self, data: bytes) -> None:
        """Look for an id that stands beside the dialect's own."""
        match = _GENERATION_ID.search(data) if b'"generationId"' in data else None
        identifier = name_of(match[1].decode(errors="replace")) if match else None
        if identifier:
            self.also_identify(identifier)

    def also_identify(self, identifier: str) -> None:
        """Take one more id by which billing may know the call."""
        if identifier not in self._other_ids:
            self._other_ids.append(identifier)

    def note_unreadable(self, body: bytes) -> None:
        """Take note of a body that is not the JSON it should be: most likely it was cut."""
        # Something came, so something was made; what it cost, the body's end would have said.
        self.produced_output = bool(body.strip())
        match = _ID_FIRST.match(body[:_ID_BYTES_SEARCHED])
        if match:
            self.identify(match[1].decode(errors="replace"), None)

    def note_error(self, raw: msgspec.Raw, code: object = None) -> None:
        """Take note of an error's message and code, in whichever of the shapes that servers use.

        Args:
            raw: the error.
            code: what stands beside it as a code.
        """
        if is_absent(raw):
            return
        error = decoded(_ERROR, raw)
        inner = error if isinstance(error, dict) else {}
        codes = (code, *map(inner.get, ("code", "type", "status")))
        self.error_code = next(filter(None, map(_code, codes)), self.error_code)
        message = error.get("message") if isinstance(error, dict) else error
        text = (
            message if isinstance(message, str) and message else bytes(raw).decode(errors="replace")
        )
        self.error = text[:ERROR_CHARS_MAX]
        # Unless usage comes with the error or after it, there is more than was counted.
        self._doubtful = True

    def note_tool_calls(self, kind: str, number: int) -> None:
        """Take note of billable calls of a tool that the provider ran, in the answer so far."""
        if number > self._tool_calls.get(kind, 0):
            self._tool_calls[kind] = number

    def note_cost(self, currency: str, raw: msgspec.Raw) -> None:
        """Take note of what the provider says it billed."""
        amount = amount_of(raw)
        if amount is not None:
            self._amounts[currency] = amount

    def note_usage(self, lines: tuple[UsageLine, ...] | None) -> None:
        """Take usage in place of any earlier one; None when it cannot be believed."""
        if lines is None:
            self._doubtful = True
            return
        self._lines = lines
        self._doubtful = False

    def metered(self) -> Metered:
        """Return what is known about the usage. All zeros come from servers that do not count."""
        if all(line.usage == _NOTHING for line in self._lines):
            return Unknown()
        if self._doubtful or not self.usage_is_final:
            return AtLeast(self._lines)
        return Exact(self._lines)

    def reading(self) -> Reading:
        """Return everything that is known."""
        ids = ([self.generation_id] if self.generation_id else []) + self._other_ids
        return Reading(
            metered=self.metered(),
            model=self.model,
            service_tier=self.service_tier,
            generation_ids=tuple(dict.fromkeys(ids)),
            finish=self.finish,
            error=self.error,
            error_code=self.error_code,
            tool_calls=tuple(sorted(self._tool_calls.items())),
            produced_output=self.produced_output,
            cost=ReportedCost(amounts=dict(self._amounts)) if self._amounts else None,
            status=self.status,
        )


def _code(value: object) -> str | None:
    """Return an error's code as text: names, and numbers as far as a status goes."""
    if isinstance(value, int) and 0 < value <= _CODE_MAX and not isinstance(value, bool):
        return str(value)
    return name_of(value)
