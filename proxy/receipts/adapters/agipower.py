"""AGIPower: a call's bill, 3 to 5 minutes after the call (facts: providers.md, 1.2, 1.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from policies.usage import Usage
from proxy.dialects.counts import name_of, split_write
from proxy.dialects.openai_usage import inclusive_usage
from proxy.providers.agipower import by_subscription
from proxy.providers.interface import ProviderSettings, Target
from proxy.providers.targets import bearer
from proxy.receipts import receipt
from proxy.receipts.adapters.answers import (
    check_id,
    declined,
    document,
    mapping,
    member,
    unready,
    unwrapped,
)
from proxy.receipts.adapters.figures import Unreadable, nano, tokens
from proxy.receipts.adapters.lookups import PLACE, Lookups

# Trap 8: the documents call the parameter generate_id, and send id.
PATHS: Final = (
    f"/api/v1/management/generation?id={PLACE}",
    f"/api/v1/generation?id={PLACE}",
)
_NEVER: Final = "a subscription key: AGIPower tells no bill of its calls, they are charged in Flows"
# Trap 15: management endpoints say 422 for too many requests.
_SLOW: Final = frozenset({422, 429})
# 1.3: the forms of x-zenmux-requestid. It finds the receipt, which is about the generation's id.
_REQUEST_ID: Final = re.compile(r"req_.*|\d{4}[0-9A-Z]{16}", re.ASCII)
#: Fee items are an open set of about a dozen.
_ITEMS_MAX: Final = 100


class AgiPower:
    """Receipts of one key, by any id that an answer carried."""

    def __init__(self, settings: ProviderSettings) -> None:
        """Take the configuration.

        Raises:
            ValueError: its path for look-ups has no place for the id.
        """
        subscribed = by_subscription(settings)
        managed = subscribed and bool(settings.management_key)
        self._key_name = "management_key" if managed else "api_key"
        auth = bearer(settings.management_key if managed else settings.api_key)
        self._lookups = Lookups(settings.base_url, settings, PATHS, auth)
        self.never: Final[str | None] = _NEVER if subscribed else None

    def at_once(self, outcome: Mapping[str, Any]) -> receipt.Final | None:
        """Return nothing: answers are not billed when they are sent (1.5)."""
        return None

    def targets(self, generation_id: str) -> Sequence[Target]:
        """Return where an id is looked up: below /management, then where it was before that."""
        return self._lookups.of(generation_id)

    def read(
        self, generation_ids: Sequence[str], status: int, headers: Mapping[str, str], body: bytes
    ) -> receipt.Result:
        """Return what an answer to the look-up of the first of these ids says; never raises."""
        refusal = declined(status, headers, slow=_SLOW, key=self._key_name)
        if refusal is not None:
            return refusal
        try:
            return self._read(generation_ids, document(body))
        except Unreadable as error:
            return receipt.SetAside(str(error))

    def _read(self, generation_ids: Sequence[str], answer: Mapping[str, Any]) -> receipt.Result:
        if answer.get("success") in (False, "false"):
            return unready(answer)
        record = unwrapped(answer)
        check_id(member(record, "generationId"), generation_ids, _is_generation_id)
        native = member(record, "nativeTokens")
        nano_usd = _billed(record)
        if nano_usd is not None:
            return receipt.Final(
                nano_usd=nano_usd,
                usage=_usage(native),
                breakdown=_breakdown(member(record, "ratingResponses")),
                generation_id=next(iter(generation_ids), ""),
            )
        if self.never is not None and native:
            return receipt.Never(self.never, _usage(native))
        return (
            receipt.Pending("the call is metered and not billed yet") if native else unready(answer)
        )


def _is_generation_id(identifier: str) -> bool:
    return not _REQUEST_ID.fullmatch(identifier)


def _billed(record: Mapping[str, Any]) -> int | None:
    """Return the bill in nano-dollars; None: there is none yet.

    It is complete with `ratingResponses.billAmount`. Beside a rating without that, the older names
    count, but their zero does not: a call that cost nothing has a rating that says so.
    """
    rating = member(record, "ratingResponses")
    if not rating:
        return None
    bill = member(mapping(rating, "ratingResponses"), "billAmount")
    if bill is not None:
        return nano(bill, "billAmount")
    for name in ("usage", "billAmount", "realAmount"):
        value = member(record, name)
        if value is not None and (nano_usd := nano(value, name)):
            return nano_usd
    return None


def _breakdown(rating: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Return the items of a bill, as far as they can be read: they inform, and move no money."""
    details = member(rating, "ratingDetails")
    items = []
    for detail in details[:_ITEMS_MAX] if isinstance(details, list) else ():
        if not isinstance(detail, Mapping):
            continue
        code = name_of(member(detail, "feeItemCode"))
        try:
            nano_usd = nano(member(detail, "billAmount"), "billAmount")
        except Unreadable:
            continue
        if code is not None and code.isprintable():
            items.append((code, nano_usd))
    return tuple(items)


def _usage(native: object) -> Usage | None:
    """Return what `nativeTokens` counts, in OpenAI's form for every dialect (1.5); None: nothing.

    Numbers that cannot be are no reason to refuse the bill: they are then as if they were not there.
    """
    try:
        return _counted(mapping(native, "nativeTokens"))
    except Unreadable:
        return None


def _counted(native: Mapping[str, Any]) -> Usage | None:
    prompt, completion = (tokens(native.get(f"{n}_tokens"), n) for n in ("prompt", "completion"))
    if not prompt and not completion:
        # All zeros come from servers that do not count.
        return None
    read, made = (_details(native, f"{n}_tokens_details") for n in ("prompt", "completion"))

    def part(details: Mapping[str, Any], *names: str) -> int:
        return next(filter(None, (tokens(details.get(name), name) for name in names)), 0)

    short, long = split_write(
        part(read, "cache_write_tokens", "cache_creation_input_tokens"),
        part(read, "ephemeral_1h_input_tokens"),
        part(read, "ephemeral_5m_input_tokens"),
    )
    return inclusive_usage(
        prompt=prompt or 0,
        completion=completion or 0,
        total=tokens(native.get("total_tokens"), "total_tokens"),
        cache_read=part(read, "cached_tokens"),
        cache_write_5m=short,
        cache_write_1h=long,
        audio_input=part(read, "audio_tokens"),
        reasoning=part(made, "reasoning_tokens"),
        audio_output=part(made, "audio_tokens"),
        web_searches=part(read, "web_search"),
    )


def _details(native: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = native.get(name)
    return found if isinstance(found, Mapping) else {}
