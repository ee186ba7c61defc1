"""Which providers tell what they billed, and how each of them is asked."""

from __future__ import annotations

from typing import Any

import structlog

from policies.ledger.keys import Keys
from policies.ledger.memory import MemoryLedger
from policies.rulebook import Rulebook
from proxy.billing_settings import ReceiptSettings
from proxy.providers.connection import Upstream
from proxy.receipts.assembly import Surroundings, assemble
from proxy.receipts.watch import ReceiptWatch
from proxy.receipts.work import ReceiptWork
from proxy.settings import ProviderSettings
from proxy.telemetry.billing import Billing
from tests.doubles.calls import FakePrices
from tests.doubles.fake_clock import FakeClock


class Silent:
    """Redis that nobody asks."""

    async def execute(self, *command: bytes | str | int) -> Any:
        raise AssertionError(command)


def work(clock: FakeClock, **providers: dict[str, str]) -> ReceiptWork:
    ledger = MemoryLedger(clock)
    log = structlog.wrap_logger(None, wrapper_class=structlog.BoundLogger)
    around = Surroundings(
        commands=Silent(),
        keys=Keys("acme"),
        ledger=ledger,
        prices=FakePrices(),
        upstream=Upstream(connect_timeout_s=1, idle_timeout_s=1),
        watch=ReceiptWatch(Billing(), log, clock),
        rulebook=Rulebook,
    )
    found = {
        name: ProviderSettings.model_validate({"base_url": "http://account.test", **fields})
        for name, fields in providers.items()
    }
    return assemble(found, ReceiptSettings(), around)


def test_a_provider_without_receipts_puts_no_call_into_a_queue(clock: FakeClock) -> None:
    found = work(clock, local={"kind": "openai"}, router={"kind": "openrouter"})

    assert found.due("local") is None
    assert found.due("unknown") is None
    due = found.due("router")
    assert due is not None
    assert (due.queue, due.after_ms) == ("router", 180_000)


def test_what_the_answer_told_is_looked_at_at_once(clock: FakeClock) -> None:
    found = work(
        clock,
        router={"kind": "openrouter"},
        flows={"kind": "agipower", "api_key": "sk-ss-v1-x"},
        payg={"kind": "agipower", "api_key": "sk-ai-v1-x"},
    )

    def after_ms(provider: str, **how: bool) -> int:
        due = found.due(provider, **how)
        assert due is not None
        return due.after_ms

    assert after_ms("router", cost_told=True) == 0
    # Nothing will ever come for a subscription's call that was metered exactly.
    assert after_ms("flows", exact=True) == 0
    assert after_ms("flows") == 180_000
    assert after_ms("payg", exact=True) == 180_000


def test_histories_and_totals_are_read_where_there_is_a_key_for_them(clock: FakeClock) -> None:
    found = work(
        clock,
        venice={"kind": "venice", "api_key": "a", "billing_key": "b"},
        blind={"kind": "venice", "api_key": "a"},
        agipower={"kind": "agipower", "api_key": "sk-ai-v1-x", "management_key": "sk-mg-v1-x"},
    )

    assert set(found._histories) == {"venice"}
    assert len(found._totals) == 1
    assert set(found._desks) == {"venice", "blind", "agipower"}
    loops = found.loops()
    assert len(loops) == 3 + 1 + 1 + 1
    for loop in loops:
        loop.close()
    assert found.factor("venice", "any") == 1_000
