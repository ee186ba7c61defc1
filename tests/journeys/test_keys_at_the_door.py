"""Keys: who may call, from where a key is taken, and that none ever goes where it does not belong."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.keys import KeyStore
from tests.doubles.aftermath import books_are_closed, kinds, nothing_was_sent, serves
from tests.doubles.formats import CHAT, FORMATS, GENERATE, MESSAGES, TOKEN_NANO_USD, Format
from tests.doubles.raw_http import connected, request
from tests.doubles.running import Running, running
from tests.doubles.waiting import until

BUDGETS = "[{name: month, limit: 10 USD, window: month}]"
PROVIDER_KEY = "sk-ai-v1-x"
CALL = 10 * TOKEN_NANO_USD
every_format = pytest.mark.parametrize("form", FORMATS, ids=str)


async def with_key(bursar: Running, key: str, form: Format = CHAT) -> tuple[int, Any]:
    """Make a call with some key."""
    status, _, document = await bursar.post(form.path, form.body(), authorization=f"Bearer {key}")
    return status, document


def other_administrator(bursar: Running) -> KeyStore:
    """Return a store of which the running worker knows nothing."""
    app = bursar.app
    return KeyStore(app.commands, app.ledger.keys, app._clock)


@every_format
@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer bsr_unknown",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "bsr_unknown",
        "Bearer " + "x" * 9000,
    ],
    ids=lambda text: str(text)[:20],
)
async def test_a_stranger_is_turned_away(
    tmp_path: Path, redis_url: str, organization: str, form: Format, authorization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        status, headers, document = await bursar.post(
            form.path, form.body(), authorization=authorization
        )

        assert status == 401
        assert "key" in form.refusal_of(document, 401)
        assert headers["x-should-retry"] == "false"
        assert "bsr_unknown" not in json.dumps(document)
        await nothing_was_sent(bursar)


async def test_bytes_that_are_no_text_are_no_key(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        for value in (b"Bearer \xff\xfe", b"Bearer \xc3\xa9", b"\xf0\x9f\x94\x91"):
            async with connected(bursar.url) as client:
                head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n"
                await client.send(head + b"authorization: " + value + b"\r\n\r\n{}")
                assert (await client.answer()).status in {400, 401}

        await nothing_was_sent(bursar)


PLACES: dict[str, tuple[str, ...]] = {
    "bearer": ("authorization: Bearer {key}",),
    "bearer in lower case": ("authorization: bearer {key}",),
    "x-api-key": ("x-api-key: {key}",),
    "x-goog-api-key": ("x-goog-api-key: {key}",),
    "api-key": ("api-key: {key}",),
    "all of them": ("authorization: Bearer {key}", "x-api-key: {key}", "x-goog-api-key: {key}"),
}


@every_format
async def test_a_key_is_taken_from_wherever_sdks_put_it_and_goes_no_further(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        for headers in PLACES.values():
            given = [header.format(key=bursar.key) for header in headers]
            async with connected(bursar.url) as client:
                head = request(form.path, form.text(), "", *given)
                await client.send(head.replace(b"authorization: Bearer \r\n", b""))
                answer = await client.answer()
            assert answer.status == 200, answer
            assert PROVIDER_KEY not in repr(answer)

        for call in bursar.simulator.calls:
            assert not call.leaked_client_key
            assert call.key == PROVIDER_KEY
            assert bursar.key not in repr(call.headers) + call.path
        await books_are_closed(bursar, spent=len(PLACES) * CALL)


@pytest.mark.parametrize(
    "query", ["key={key}", "alt=sse&key={key}", "key={key}&x=y", "%6bey={key}"]
)
async def test_a_key_in_the_query_is_taken_out_of_it(
    tmp_path: Path, redis_url: str, organization: str, query: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        path = f"{GENERATE.path}?{query.format(key=bursar.key)}"
        async with bursar.http.post(bursar.url + path, data=GENERATE.text()) as answer:
            assert answer.status == 200, await answer.text()

        (call,) = bursar.simulator.calls
        assert not call.leaked_client_key
        assert bursar.key not in call.path + repr(call.headers)
        await books_are_closed(bursar, spent=CALL)


@every_format
async def test_a_revoked_key_makes_not_one_more_call(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        record, key = await bursar.app.key_store.create("red")
        assert (await with_key(bursar, key, form))[0] == 200

        await other_administrator(bursar).revoke(record.id)
        status, document = await with_key(bursar, key, form)

        assert status == 401
        assert "revoked" in form.refusal_of(document, 401)
        assert len(bursar.simulator.calls) == 1
        await books_are_closed(bursar, spent=CALL)
        counted = await kinds(bursar)
        assert counted["admitted"] == counted["settle"] + counted["release"]


async def test_a_key_is_good_at_once_on_a_worker_that_has_not_heard_of_it(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        await serves(bursar)
        _, key = await other_administrator(bursar).create("red")

        assert (await with_key(bursar, key))[0] == 200


async def test_a_key_ends_when_it_said_it_would(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        ends_ms = int(time.time() * 1000) + 300
        _, key = await bursar.app.key_store.create("red", expires_ms=ends_ms)
        assert (await with_key(bursar, key))[0] == 200

        await until(lambda: time.time() * 1000 > ends_ms)
        status, document = await with_key(bursar, key)

        assert status == 401
        assert "expired" in CHAT.refusal_of(document, 401)
        await books_are_closed(bursar, spent=CALL)


async def test_a_rotated_key_has_two_secrets_until_the_grace_is_over(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        store = other_administrator(bursar)
        record, old = await store.create("red")
        assert (await with_key(bursar, old))[0] == 200
        _, new = await store.rotate(record.id, 500)
        ends_s = time.time() + 0.5

        assert [(await with_key(bursar, key))[0] for key in (old, new)] == [200, 200]
        await until(lambda: time.time() > ends_s)
        assert [(await with_key(bursar, key))[0] for key in (old, new)] == [401, 200]
        _, newest = await store.rotate(record.id, 0)
        assert [(await with_key(bursar, key))[0] for key in (new, newest)] == [401, 200]
        await store.revoke(record.id)
        assert [(await with_key(bursar, key))[0] for key in (old, new, newest)] == [401] * 3


@every_format
async def test_a_key_of_another_team_gets_that_teams_models_alone(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        store = bursar.app.key_store
        _, alice = await store.create("blue", user="alice")
        _, stranger = await store.create("blue", user="mallory")
        _, nobodys = await store.create("green")
        barred = 400 if form.name in {"responses", "messages"} else 403
        path = form.path.replace("acme/mini", "acme/huge")

        assert (await with_key(bursar, alice, form))[0] == 200
        refused = [
            await bursar.post(
                path, form.body(**({} if form is GENERATE else {"model": "acme/huge"})),
                authorization=f"Bearer {alice}",
            ),
            await bursar.post(form.path, form.body(), authorization=f"Bearer {stranger}"),
            await bursar.post(form.path, form.body(), authorization=f"Bearer {nobodys}"),
        ]  # fmt: skip

        assert [status for status, _, _ in refused] == [barred] * 3
        messages = [form.refusal_of(document, barred) for _, _, document in refused]
        assert ["acme/huge" in messages[0], "mallory" in messages[1], "green" in messages[2]] == [
            True
        ] * 3
        await books_are_closed(bursar, spent=CALL)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-bursar-user", "bob"),
        ("x-bursar-session", "s1"),
        ("x-bursar-tags", "project=apollo"),
    ],
)
async def test_what_a_team_may_not_say_of_its_calls_is_refused(
    tmp_path: Path, redis_url: str, organization: str, header: str, value: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        _, blue = await bursar.app.key_store.create("blue", user="alice")
        status, _, document = await bursar.post(
            CHAT.path, CHAT.body(), **{"authorization": f"Bearer {blue}", header: value}
        )

        assert status == 400
        assert header in CHAT.refusal_of(document, 400)
        await nothing_was_sent(bursar)


async def test_a_providers_error_that_repeats_its_key_is_passed_on_without_it(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        said = f'{{"error": {{"message": "Incorrect API key provided: {PROVIDER_KEY}."}}}}'
        bursar.scenario(status=401, error_body=said)
        status, _, document = await bursar.chat()

        assert status == 401
        assert "Incorrect API key provided" in document["error"]["message"]
        assert PROVIDER_KEY not in json.dumps(document)
        entries = await bursar.app.ledger.journal(count_max=1000)
        assert PROVIDER_KEY not in repr(entries)
        await books_are_closed(bursar, spent=0)


async def test_nothing_secret_is_logged_or_journalled_whatever_happens(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    secret_prompt = "the-launch-is-on-friday"
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bodies = [
            MESSAGES.body(messages=[{"role": "user", "content": secret_prompt}]),
            MESSAGES.body(limit=-1, system=secret_prompt),
        ]
        faults: list[dict[str, Any]] = [
            {},
            {"status": 500},
            {"status": 402, "error": {"type": "quote_exceeded", "message": "no"}},
            {"cut_after_bytes": 10},
            {"body_error_200": True},
        ]
        for fault in faults:
            bursar.scenario(**(fault or {"usage": {"output": 1}}))
            for body in bodies:
                # An answer that is cut breaks the connection.
                with suppress(aiohttp.ClientError):
                    await bursar.post(MESSAGES.path, body)
                await bursar.post(MESSAGES.path, body, authorization="Bearer bsr_wrong")
        await bursar.settled()

        entries = await bursar.app.ledger.journal(count_max=1000)
        told = repr(bursar.logs) + repr(entries)
        for secret in (bursar.key, PROVIDER_KEY, "bsr_wrong", secret_prompt):
            assert secret not in told
