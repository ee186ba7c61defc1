"""What costs nothing passes without a reservation; everything else that is not metered does not pass."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from proxy.simulator.server import Simulator
from tests.doubles.aftermath import faults, kinds, nothing_was_sent
from tests.doubles.formats import CHAT, FORMATS, GENERATE, MESSAGES, MODEL, RESPONSES, Format
from tests.doubles.odd_provider import odd_provider, reply
from tests.doubles.raw_http import connected, request
from tests.doubles.running import Running, running

# A budget without room: what is free passes all the same.
BUDGETS = "[{name: empty, limit: 0.000001 USD, window: month}]"
ROOMY = "[{name: month, limit: 10 USD, window: month}, {name: often, limit: 9 calls, window: day}]"


async def got(
    bursar: Running, path: str, *, method: str = "GET", key: str = "", json: Any = None
) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {key or bursar.key}"}
    async with bursar.http.request(method, bursar.url + path, headers=headers, json=json) as answer:
        assert answer.headers["x-bursar-call-id"]
        return answer.status, await answer.json() if method != "HEAD" else None


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("/v1/models", "data"),
        ("/api/v1/models", "data"),
        ("/sim/v1/models", "data"),
        ("/anthropic/v1/models", "data"),
        ("/v1beta/models", "models"),
    ],
)
async def test_lists_of_models_are_free(
    tmp_path: Path, redis_url: str, organization: str, path: str, member: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        status, document = await got(bursar, path)

        assert status == 200
        assert len(document[member]) > 1
        assert (await kinds(bursar)).total() == 0
        assert faults(bursar) == []


COUNTS = [
    ("/v1/messages/count_tokens", MESSAGES.body(limit=None)),
    ("/v1/responses/input_tokens", RESPONSES.body(limit=None)),
    (f"/v1beta/models/{MODEL}:countTokens", {"contents": []}),
]


@pytest.mark.parametrize(("path", "body"), COUNTS, ids=[path for path, _ in COUNTS])
async def test_counting_tokens_is_free(
    tmp_path: Path, redis_url: str, organization: str, path: str, body: dict[str, Any]
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        status, document = await got(bursar, path, method="POST", json=body)

        assert status == 200
        assert any(value for name, value in document.items() if "okens" in name)
        assert (await kinds(bursar)).total() == 0
        assert bursar.simulator.calls == []


@pytest.mark.parametrize(("path", "body"), COUNTS, ids=[path for path, _ in COUNTS])
async def test_tokens_are_not_counted_for_models_that_a_team_may_not_use(
    tmp_path: Path, redis_url: str, organization: str, path: str, body: dict[str, Any]
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        _, blue = await bursar.app.key_store.create("blue", user="alice")
        if "model" in body:
            body = body | {"model": "acme/huge"}
        path = path.replace("acme/mini", "acme/huge")
        status, document = await got(bursar, path, method="POST", json=body, key=blue)

        assert 400 <= status < 404
        assert "acme/huge" in document["error"]["message"]


async def test_a_probe_needs_no_key(tmp_path: Path, redis_url: str, organization: str) -> None:
    async with (
        running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar,
        bursar.http.head(bursar.url + "/") as answer,
    ):
        assert answer.status == 200


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/budget", "/v1/messages/count_tokens", "/v1/responses/resp_1"]
)
async def test_a_stranger_gets_nothing_for_free(
    tmp_path: Path, redis_url: str, organization: str, path: str
) -> None:
    method = "POST" if "count" in path else "GET"
    async with running(tmp_path, redis_url, organization, budgets=ROOMY) as bursar:
        status, _ = await got(bursar, path, method=method, key="bsr_stranger")

        assert status == 401
        await nothing_was_sent(bursar)


async def test_callers_see_what_their_own_key_has_left(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    budgets = (
        "[{name: month, limit: 10 USD, window: month}, {name: often, limit: 9 calls, window: day},"
        " {name: mine, each: key, limit: 1 USD, window: lifetime},"
        " {name: blues, team: blue, limit: 1 USD, window: month}]"
    )
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        await bursar.chat(max_tokens=10)
        status, document = await got(bursar, "/v1/budget")

        assert status == 200
        rows = {row["name"]: row for row in document["items"]}
        assert set(rows) == {"month", "often", "mine"}
        assert rows["month"]["spent"] == {"nano_usd": 10_000_000, "usd": "0.01"}
        assert rows["mine"]["remaining"]["nano_usd"] == 990_000_000
        assert bursar.key not in repr(document)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/images/generations"),
        ("POST", "/v1/audio/speech"),
        ("POST", "/v1/batches"),
        ("POST", "/v1/files"),
        ("GET", "/v1/files"),
        ("POST", "/v1/fine_tuning/jobs"),
        ("POST", "/v1/responses/compact"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1beta/models/acme/mini:predict"),
        ("POST", "/v1beta/models/acme/mini:embedContent"),
        ("POST", "/v1/projects/p/locations/l/publishers/anthropic/models/c:rawPredict"),
        ("GET", "/api/v1/management/payg/balance"),
        ("GET", "/sim/api/v1/management/generation?id=1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("GET", "/simulator/calls"),
        ("GET", "/metrics"),
        ("GET", "/admin/v1/keys"),
    ],
)
async def test_what_is_not_metered_is_not_forwarded(
    tmp_path: Path, redis_url: str, organization: str, method: str, path: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=ROOMY) as bursar:
        json = {"model": MODEL} if method == "POST" else None
        status, document = await got(bursar, path, method=method, json=json)

        assert status in {404, 405}
        assert document["error"]["message"]
        await nothing_was_sent(bursar)


@pytest.mark.parametrize("form", FORMATS, ids=str)
async def test_a_call_in_disguise_is_a_call(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    disguises = (
        ("x-http-method-override: GET",),
        ("x-original-url: /v1/models",),
        ("x-rewrite-url: /v1/models",),
    )
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        for headers in disguises:
            async with connected(bursar.url) as client:
                await client.send(request(form.path, form.text(), bursar.key, *headers))
                assert (await client.answer()).status == 402
        assert bursar.simulator.calls == []


async def test_a_redirect_of_a_free_request_is_not_passed_on_either(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with odd_provider() as provider, odd_provider() as elsewhere:
        provider.reply = reply("307 Moved", b"", f"location: http://127.0.0.1:{elsewhere.port}/")
        async with running(
            tmp_path,
            redis_url,
            organization,
            budgets=ROOMY,
            simulator=Simulator(clock=time.time),
            port=provider.port,
        ) as bursar:
            body = MESSAGES.body(limit=None)
            status, document = await got(
                bursar, "/v1/messages/count_tokens", method="POST", json=body
            )

            assert status == 502
            assert "redirect" in document["error"]["message"]
            assert elsewhere.requests == []


async def test_a_provider_that_is_not_there_is_said_to_be(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=ROOMY) as bursar:
        await bursar.simulator.stop()

        for path in ("/v1/models", "/v1beta/models"):
            status, document = await got(bursar, path)
            assert status == 502
            assert document["error"]["message"]


async def test_the_free_do_not_become_calls_by_their_number(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=ROOMY) as bursar:
        for _ in range(20):
            assert (await got(bursar, "/v1/budget"))[0] == 200
            assert (await got(bursar, f"/v1beta/models/{MODEL}:countTokens", method="POST",
                              json=GENERATE.body()))[0] == 200  # fmt: skip

        assert (await bursar.post(CHAT.path, CHAT.body()))[0] == 200
        await bursar.settled()
        assert (await bursar.standing("often")).spent == 1
