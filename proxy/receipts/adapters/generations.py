"""Receipts in OpenRouter's form, which Vercel took over (facts: providers.md, 3.1, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from policies.usage import Usage
from proxy.dialects.openai_usage import inclusive_usage
from proxy.providers.interface import ProviderSettings, Target
from proxy.providers.targets import bearer, without_version
from proxy.receipts import receipt
from proxy.receipts.adapters.answers import check_id, declined, document, unready, unwrapped
from proxy.receipts.adapters.figures import Unreadable, nano, tokens
from proxy.receipts.adapters.lookups import PLACE, Lookups

PATH: Final = f"/v1/generation?id={PLACE}"
_SLOW: Final = frozenset({429})


class Generations:
    """Receipts at `/v1/generation`; the base URL may end in /v1 or not."""

    never: Final[str | None] = None

    def __init__(self, settings: ProviderSettings, id_prefix: str) -> None:
        """Take the configuration.

        Args:
            settings: the provider's.
            id_prefix: how the ids begin by which the provider bills.

        Raises:
            ValueError: the path for look-ups has no place for the id.
        """
        self._lookups = Lookups(
            without_version(settings.base_url), settings, (PATH,), bearer(settings.api_key)
        )
        self._id_prefix = id_prefix

    def at_once(self, outcome: Mapping[str, Any]) -> receipt.Final | None:
        """Return nothing: no document says what a cost in an answer would mean."""
        return None

    def targets(self, generation_id: str) -> Sequence[Target]:
        """Return where an id is looked up."""
        return self._lookups.of(generation_id)

    def read(
        self, generation_ids: Sequence[str], status: int, headers: Mapping[str, str], body: bytes
    ) -> receipt.Result:
        """Return what an answer to the look-up of the first of these ids says; never raises."""
        refusal = declined(status, headers, slow=_SLOW, key="api_key")
        if refusal is not None:
            return refusal
        try:
            return self._read(generation_ids, document(body))
        except Unreadable as error:
            return receipt.SetAside(str(error))

    def _read(self, generation_ids: Sequence[str], answer: Mapping[str, Any]) -> receipt.Result:
        record = unwrapped(answer)
        check_id(record.get("id"), generation_ids, self._is_generation_id)
        for name in ("total_cost", "usage"):
            if record.get(name) is not None:
                return receipt.Final(
                    nano_usd=nano(record[name], name),
                    usage=_usage(record),
                    generation_id=next(iter(generation_ids), ""),
                )
        return unready(answer)

    def _is_generation_id(self, identifier: str) -> bool:
        return identifier.startswith(self._id_prefix)


def _usage(record: Mapping[str, Any]) -> Usage | None:
    """Return what was counted; None: nothing, or nothing that can be believed.

    The members without `native_` are counted by another tokenizer than the one that is billed.
    """

    def part(name: str) -> int:
        return tokens(record.get(name), name) or 0

    try:
        prompt, completion = part("native_tokens_prompt"), part("native_tokens_completion")
        if not prompt and not completion:
            return None
        return inclusive_usage(
            prompt=prompt,
            completion=completion,
            total=None,
            cache_read=part("native_tokens_cached"),
            cache_write_5m=part("native_tokens_cache_creation"),
            cache_write_1h=0,
            audio_input=0,
            reasoning=part("native_tokens_reasoning"),
            audio_output=0,
            web_searches=part("billable_web_search_calls"),
        )
    except Unreadable:
        return None
