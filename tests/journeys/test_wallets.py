"""What the provider reports of the account, through the whole gateway: it passes, warns or refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.formats import FORMATS, Format
from tests.doubles.running import Running, running
from tests.doubles.waiting import until

POLLED = "wallets: {every: 50ms%s}\n"
SUBSCRIPTION = "api_key: sk-ss-v1-x, management_key: sk-mg-v1-x"
PAYG = "api_key: sk-ai-v1-x, management_key: sk-mg-v1-x"
FULL = {"max_flows": "800", "used_flows": "0"}
EMPTY = {"max_flows": "800", "used_flows": "800"}


@asynccontextmanager
async def polled(
    folder: Path, redis_url: str, organization: str, more: str = "", keys: str = SUBSCRIPTION
) -> AsyncIterator[Running]:
    """Run a gateway that asks for its quotas all the time; the poll looks once a second."""
    settings = POLLED % more
    async with running(folder, redis_url, organization, settings=settings, keys=keys) as bursar:
        await until(lambda: bursar.app.wallets.describe("sim", _any_quota(keys)) is not None)
        yield bursar


def _any_quota(keys: str) -> str:
    return "wallet.sim.5_hour" if "sk-ss" in keys else "wallet.sim.balance"


async def passes(bursar: Running) -> bool:
    status, _, _ = await bursar.chat(max_tokens=1)
    return status == 200


async def refused(bursar: Running, said: str = "") -> tuple[dict[str, str], dict[str, Any]]:
    """Wait until a call is refused here, for a reason in which this is said; return headers and error.

    Before the poll tells why, a call may find the provider's own refusal, and close the account by it.
    """
    found: list[tuple[dict[str, str], dict[str, Any]]] = []

    async def is_refused() -> bool:
        status, headers, body = await bursar.chat(max_tokens=1)
        if status == 402 and headers.get("x-bursar-decision") == "refused":
            if said not in body["error"]["message"]:
                return False
            found.append((headers, body["error"]))
        return bool(found)

    await until(is_refused)
    return found[0]


@pytest.mark.parametrize("status", ["healthy", "monitored", "abusive"])
async def test_an_account_that_is_watched_is_used(
    tmp_path: Path, redis_url: str, organization: str, status: str
) -> None:
    async with polled(tmp_path, redis_url, organization) as bursar:
        bursar.scenario(account_status=status)
        if status != "healthy":
            await until(
                lambda: (
                    ("account_status", status)
                    in [(event["event"], event.get("status")) for event in bursar.logs]
                )
            )
        assert await passes(bursar)


@pytest.mark.parametrize(
    ("status", "more"),
    [("suspended", ""), ("banned", ""), ("abusive", ", when_abusive: refuse")],
)
async def test_an_account_that_is_barred_is_not(
    tmp_path: Path, redis_url: str, organization: str, status: str, more: str
) -> None:
    async with polled(tmp_path, redis_url, organization, more) as bursar:
        bursar.scenario(account_status=status)
        headers, error = await refused(bursar, f"ccount 'sim' is {status}")

        assert (error["type"], error["code"]) == ("insufficient_quota", "wallet_exhausted")
        assert headers["x-should-retry"] == "false"
        bursar.scenario(account_status="healthy")
        await until(lambda: passes(bursar))


async def test_a_quota_that_has_not_begun_is_full_and_one_that_jumps_down_refuses(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with polled(tmp_path, redis_url, organization) as bursar:
        # No call was made yet: `resets_at` is null.
        view = bursar.app.wallets.describe("sim", "wallet.sim.5_hour")
        assert view is not None
        assert view.resets_at_ms is None
        assert await passes(bursar)

        bursar.scenario(quota={"quota_5_hour": EMPTY})
        headers, error = await refused(bursar, "5-hour quota of 'sim' is used up")
        assert headers["x-bursar-budget"] == "wallet.sim.5_hour"
        assert headers["x-bursar-limit"] == "800 flows"
        assert headers["x-bursar-resets-at"] in error["message"]

        bursar.scenario(quota={"reset": True})
        await until(lambda: passes(bursar))


async def test_what_was_known_stays_while_the_management_endpoint_limits_us(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with polled(tmp_path, redis_url, organization) as bursar:
        bursar.scenario(management_422_every=1)
        await until(lambda: "wallet_poll_failed" in [event["event"] for event in bursar.logs])

        assert await passes(bursar)
        view = bursar.app.wallets.describe("sim", "wallet.sim.5_hour")
        assert view is not None
        assert view.limit == 800 * 10**9


async def test_the_monthly_cap_is_kept_by_our_own_count(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    # A call of one token is a tenth of a cent by our list: 0.0305 Flows.
    async with polled(tmp_path, redis_url, organization) as bursar:
        bursar.scenario(quota={"quota_monthly": {"max_flows": "0.1"}})
        _, error = await refused(bursar)

        assert "month" in error["message"]
        # The provider, whose own count knows a cheaper list, refused nothing.
        assert {call.status for call in bursar.simulator.calls} <= {200}
        assert len(bursar.simulator.calls) >= 3


async def test_a_floor_is_kept(tmp_path: Path, redis_url: str, organization: str) -> None:
    async with polled(tmp_path, redis_url, organization, ", keep: 10%") as bursar:
        bursar.scenario(quota={"quota_5_hour": {"max_flows": "800", "used_flows": "721"}})
        _, error = await refused(bursar)

        assert "5-hour quota" in error["message"]


async def test_pay_as_you_go_ends_with_the_balance(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with polled(tmp_path, redis_url, organization, keys=PAYG) as bursar:
        assert await passes(bursar)
        bursar.scenario(balance_usd="0")
        headers, error = await refused(bursar)

        assert headers["x-bursar-budget"] == "wallet.sim.balance"
        assert error["code"] == "wallet_exhausted"


@pytest.mark.parametrize("form", FORMATS, ids=str)
async def test_a_refusal_speaks_the_callers_dialect(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with polled(tmp_path, redis_url, organization) as bursar:
        bursar.scenario(quota={"quota_5_hour": EMPTY})
        await refused(bursar, "used up")
        status, headers, document = await bursar.post(form.path, form.body())

        assert status == 402
        assert "used up" in form.refusal_of(document, 402)
        assert headers["x-bursar-decision"] == "refused"
        assert headers["x-should-retry"] == "false"
