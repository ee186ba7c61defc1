"""A call passes: quoted, reserved, forwarded, metered, settled."""

from __future__ import annotations

from pathlib import Path

from tests.doubles.running import running


async def test_a_chat_call_is_settled_at_what_the_provider_counts(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    budgets = "[{name: month, limit: 1 USD, window: month}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        status, headers, body = await bursar.chat(max_tokens=10)
        await bursar.settled()

        assert status == 200, body
        assert body["usage"]["completion_tokens"] == 10
        assert headers["x-bursar-budget"] == "month"
        standing = await bursar.standing("month")
        assert (standing.spent, standing.reserved) == (10_000_000, 0)


async def test_a_call_beyond_the_budget_is_refused_and_nothing_is_sent(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    budgets = "[{name: small, limit: 0.009 USD, window: month}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        status, headers, body = await bursar.chat(max_tokens=10)

        assert status == 402
        assert "small" in body["error"]["message"]
        assert headers["x-should-retry"] == "false"
        assert bursar.simulator.calls == []


async def test_a_stream_is_settled_before_its_end_reaches_the_client(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    budgets = "[{name: month, limit: 1 USD, window: month}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        status, _, body = await bursar.chat(max_tokens=10, stream=True)

        assert status == 200
        assert b'"usage"' not in body
        standing = await bursar.standing("month")
        assert (standing.spent, standing.reserved) == (10_000_000, 0)
