"""The shared state of the simulated provider."""

import msgspec
import pytest

from proxy.simulator.keys import KeyKind
from proxy.simulator.provider import Provider
from proxy.simulator.scenario import Scenario
from proxy.simulator.truth import Call
from tests.proxy.simulator.conversation import HandClock


def _provider(clock: HandClock, billed_after_s: float | None = None) -> Provider:
    return Provider(clock=clock, random_seed=0, billed_after_s=billed_after_s)


def _call(flavour: str, **fields: object) -> Call:
    return Call(
        id="call_0",
        index=0,
        at=1_000.0,
        method="POST",
        path="/",
        dialect="chat_completions",
        flavour=flavour,
        key_kind=KeyKind.PAYG,
        key="",
        headers=(),
        body_bytes=0,
        body_sha256="",
        bill_type="metered",
        scenario=msgspec.convert(fields, Scenario),
    )


@pytest.mark.parametrize(
    ("flavour", "billed_at"), [("agipower", 1_180), ("venice", 1_060), ("openrouter", 1_002)]
)
def test_each_provider_takes_its_time_to_bill(
    clock: HandClock, flavour: str, billed_at: float
) -> None:
    assert _provider(clock).billed_at(_call(flavour)) == billed_at


def test_the_delay_can_be_set_for_all_and_for_one(clock: HandClock) -> None:
    provider = _provider(clock, billed_after_s=5)

    assert provider.billed_at(_call("agipower")) == 1_005
    assert provider.billed_at(_call("agipower", billed_after_s=7)) == 1_007


def test_some_calls_are_never_billed(clock: HandClock) -> None:
    subscription = _call("agipower")
    subscription.bill_type = "subscription"

    assert _provider(clock).billed_at(_call("agipower", never_billed=True)) is None
    assert _provider(clock).billed_at(subscription) is None


def test_account_settings_do_not_join_the_script(clock: HandClock) -> None:
    provider = _provider(clock)

    provider.adopt(Scenario(balance_usd="1"))
    assert provider.script.waiting == []
    provider.adopt(Scenario(balance_usd="2", chunks=1))
    assert len(provider.script.waiting) == 1
    assert provider.account.balance_nano_usd == 2 * 10**9


def test_a_reset_forgets_script_and_account(clock: HandClock) -> None:
    provider = _provider(clock)
    provider.adopt(Scenario(balance_usd="1", chunks=1))

    provider.reset_scenarios()

    assert provider.script.waiting == []
    assert provider.account.balance_nano_usd > 10**9
