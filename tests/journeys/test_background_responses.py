"""Responses in the background: held while they are worked on, fetched, and settled at their usage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.gateway import background
from tests.doubles.aftermath import books_are_closed, kinds, nothing_was_sent, pending
from tests.doubles.formats import RESPONSES, TOKEN_NANO_USD
from tests.doubles.raw_http import connected, request
from tests.doubles.running import Running, running
from tests.doubles.waiting import until

BUDGETS = "[{name: month, limit: 10 USD, window: month}]"
RESERVED = 10 * TOKEN_NANO_USD
USED = 3 * TOKEN_NANO_USD


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first look come at once; the default is right for providers, and long for tests."""
    monkeypatch.setattr(background, "FIRST_WAIT_S", 0.03)


async def queued(bursar: Running, **scenario: Any) -> str:
    """Send a call to the background; return the answer's id."""
    bursar.scenario(**{"usage": {"output": 3}, "background_after_s": 0.2, **scenario})
    status, _, document = await bursar.post(RESPONSES.path, RESPONSES.body(background=True))

    assert (status, document["status"]) == (200, "queued"), document
    return str(document["id"])


async def fetched(
    bursar: Running, path: str, key: str = "", method: str = "GET"
) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {key or bursar.key}"}
    async with bursar.http.request(method, bursar.url + path, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_what_is_worked_on_is_held_and_then_charged_what_was_used(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        response_id = await queued(bursar)
        standing = await bursar.standing("month")
        assert (standing.spent, standing.reserved) == (0, RESERVED)
        (call_id,) = await pending(bursar)
        record = await bursar.app.ledger.find(call_id.decode())
        assert record is not None
        assert response_id in record.generation_ids

        await books_are_closed(bursar, spent=USED)
        assert (await kinds(bursar)) == {"admitted": 2, "settle": 2}


async def test_clients_that_fetch_the_answer_are_not_charged_again(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        response_id = await queued(bursar)
        path = f"/v1/responses/{response_id}"

        async def is_complete() -> bool:
            status, document = await fetched(bursar, path)
            assert (status, document["id"]) == (200, response_id)
            return bool(document["status"] == "completed")

        await until(is_complete)
        for _ in range(3):
            assert await is_complete()

        assert len(bursar.simulator.calls) == 1
        await books_are_closed(bursar, spent=USED)
        assert (await kinds(bursar)) == {"admitted": 2, "settle": 2}


async def test_an_answer_is_there_for_its_own_team_alone(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        response_id = await queued(bursar)
        _, blue = await bursar.app.key_store.create("blue", user="alice")
        _, sibling = await bursar.app.key_store.create("red")

        for path, method in [("", "GET"), ("?stream=true", "GET"), ("/cancel", "POST")]:
            status, document = await fetched(
                bursar, f"/v1/responses/{response_id}{path}", blue, method
            )
            assert status == 404
            assert RESPONSES.refusal_of(document, 404)
        assert (await fetched(bursar, f"/v1/responses/{response_id}", sibling))[0] == 200
        assert (await fetched(bursar, "/v1/responses/resp_nobodys"))[0] == 404
        assert (await fetched(bursar, f"/v1/responses/{response_id}", "bsr_stranger"))[0] == 401
        await books_are_closed(bursar, spent=USED)


async def test_an_answer_that_is_cancelled_is_settled_at_once(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        response_id = await queued(bursar, background_after_s=3600)
        status, document = await fetched(
            bursar, f"/v1/responses/{response_id}/cancel", method="POST"
        )

        assert (status, document["status"]) == (200, "cancelled")
        known = document["usage"] is not None
        await books_are_closed(bursar, spent=USED if known else RESERVED)


async def test_a_team_whose_policy_refuses_background_sends_none(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    policies = (
        f"organization: {organization}\nteams: {{red: {{background: refuse}}}}\nbudgets: {BUDGETS}"
    )
    async with running(tmp_path, redis_url, organization, policies=policies) as bursar:
        status, _, document = await bursar.post(RESPONSES.path, RESPONSES.body(background=True))

        assert status == 400
        assert "background" in RESPONSES.refusal_of(document, 400)
        await nothing_was_sent(bursar)


async def test_work_that_outlasts_the_lease_keeps_its_reservation(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    settings = "ledger: {lease: 200ms}\n"
    async with running(
        tmp_path, redis_url, organization, budgets=BUDGETS, settings=settings
    ) as bursar:
        await queued(bursar, background_after_s=0.8)

        await books_are_closed(bursar, spent=USED)
        assert (await kinds(bursar))["expire"] == 0


async def test_a_client_that_leaves_before_it_is_told_the_id_is_charged_what_was_used(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(usage={"output": 3}, background_after_s=0.1, first_byte_delay_ms=50)
        async with connected(bursar.url) as client:
            await client.send(request(RESPONSES.path, RESPONSES.text(background=True), bursar.key))
            await until(lambda: len(bursar.simulator.calls) == 1)
            client.reset()

            await books_are_closed(bursar, spent=USED)


async def test_a_background_stream_that_was_cut_is_fetched_to_its_usage(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(usage={"output": 3}, cut_after_events=2, background_after_s=0.1)
        _, _, raw = await bursar.post(RESPONSES.path, RESPONSES.body(background=True, stream=True))

        assert "broke off" in RESPONSES.error_in(raw)
        await books_are_closed(bursar, spent=USED)


async def test_a_whole_background_stream_is_settled_as_any_other(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(usage={"output": 3})
        status, _, raw = await bursar.post(
            RESPONSES.path, RESPONSES.body(background=True, stream=True)
        )

        assert (status, b"response.completed" in raw) == (200, True)
        await books_are_closed(bursar, spent=USED)


async def test_a_proxy_that_stops_leaves_what_is_worked_on_to_its_lease(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    settings = "ledger: {lease: 300ms}\ngateway: {timeouts: {shutdown: 50ms}}\n"
    async with running(
        tmp_path / "one", redis_url, organization, budgets=BUDGETS, settings=settings
    ) as other:
        async with running(
            tmp_path / "two", redis_url, organization, budgets=BUDGETS, settings=settings
        ) as bursar:
            await queued(bursar, background_after_s=3600)

        await books_are_closed(other, spent=RESERVED)
        assert (await kinds(other))["expire"] == 1
