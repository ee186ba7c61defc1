"""Budgets of every kind, through the whole proxy: who is counted, in what, over which time, and then what."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.aftermath import journal, kinds, pending
from tests.doubles.formats import (
    CHAT,
    FORMATS,
    GENERATE,
    MESSAGES,
    RESPONSES,
    TOKEN_NANO_USD,
    Format,
)
from tests.doubles.running import OUTPUT_ONLY, Running, running
from tests.doubles.waiting import until

CALL = 10 * TOKEN_NANO_USD
EVERY_MODEL = {"acme/*": OUTPUT_ONLY}
every_format = pytest.mark.parametrize("form", FORMATS, ids=str)


async def spent(bursar: Running, budget: str, subject: str = "") -> tuple[int, int]:
    """Return what a budget has spent and reserved, once nothing is in flight."""
    await bursar.settled()
    standing = await bursar.standing(budget, subject)
    return standing.spent, standing.reserved


async def statuses(bursar: Running, *calls: dict[str, Any]) -> list[int]:
    return [(await bursar.chat(**call))[0] for call in calls]


EACH: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, str]]] = {
    "user": (
        {"headers": {"x-bursar-user": "ann"}},
        {"headers": {"x-bursar-user": "bob"}},
        ("ann", "bob"),
    ),
    "session": (
        {"headers": {"x-bursar-session": "s 1"}},
        {"headers": {"x-bursar-session": "s:2"}},
        ("s 1", "s:2"),
    ),
    "tag:project": (
        {"headers": {"x-bursar-tags": "project=apollo,stage=1"}},
        {"headers": {"x-bursar-tags": "project=gemini"}},
        ("apollo", "gemini"),
    ),
    "model": ({"model": "acme/mini"}, {"model": "acme/maxi"}, ("acme/mini", "acme/maxi")),
}


@pytest.mark.parametrize("each", EACH)
async def test_each_subject_has_a_counter_of_its_own(
    tmp_path: Path, redis_url: str, organization: str, each: str
) -> None:
    first, second, subjects = EACH[each]
    budgets = f"[{{name: own, each: '{each}', limit: 0.015 USD, window: month}}]"
    async with running(
        tmp_path, redis_url, organization, budgets=budgets, prices=EVERY_MODEL
    ) as bursar:
        assert await statuses(bursar, first, first, second, second) == [200, 402, 200, 402]

        _, headers, document = await bursar.chat(**first)
        assert f"'{subjects[0]}'" in document["error"]["message"]
        assert headers["x-bursar-decision"] == "refused"
        assert [await spent(bursar, "own", subject) for subject in subjects] == [(CALL, 0)] * 2
        assert len(bursar.simulator.calls) == 2


async def test_each_key_has_a_counter_of_its_own_whatever_its_secret(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    budgets = "[{name: own, each: key, limit: 0.025 USD, window: month}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        record, other = await bursar.app.key_store.create("red")
        _, rotated = await bursar.app.key_store.rotate(record.id, 60_000)
        keys = [bursar.key, bursar.key, bursar.key, other, rotated, rotated]
        calls = [{"headers": {"authorization": f"Bearer {key}"}} for key in keys]

        assert await statuses(bursar, *calls) == [200, 200, 402, 200, 200, 402]
        assert await spent(bursar, "own", record.id) == (2 * CALL, 0)


async def test_a_call_that_lacks_what_a_budget_counts_by_is_counted_together_with_its_like(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    budgets = "[{name: own, each: user, limit: 0.015 USD, window: month}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        named = {"headers": {"x-bursar-user": "ann"}}

        # Nobody escapes a budget by not saying who they are.
        assert await statuses(bursar, {}, {}, named) == [200, 402, 200]


@pytest.mark.parametrize("mode", ["warn", "shadow"])
async def test_a_budget_that_only_watches_stops_nobody_and_says_so(
    tmp_path: Path, redis_url: str, organization: str, mode: str
) -> None:
    budgets = f"[{{name: watching, limit: 0.015 USD, window: month, mode: {mode}}}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        assert await statuses(bursar, {}, {}, {}) == [200] * 3

        assert await spent(bursar, "watching") == (3 * CALL, 0)
        told = [event for event in bursar.logs if event["event"] == "call_would_be_refused"]
        assert [event["budgets"] for event in told] == [("watching",)] * 2


@every_format
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_clamp_lowers_the_limit_on_the_wire(
    tmp_path: Path, redis_url: str, organization: str, form: Format, stream: bool
) -> None:
    budgets = (
        "[{name: tight, limit: 0.007 USD, window: month, when_short: clamp, clamp_floor: 5},"
        " {name: wide, limit: 10 USD, window: month}]"
    )
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        status, _, _ = await bursar.post(form.path_of(stream=stream), form.body(stream=stream))

        assert status == 200
        # The provider was asked for seven tokens, and gave them.
        assert bursar.truth_output_tokens == 7
        assert [await spent(bursar, name) for name in ("tight", "wide")] == [(7_000_000, 0)] * 2
        admitted = next(e for e in await journal(bursar) if e.kind == "admitted")
        assert "output limit 7" in json.loads(admitted.data)["changes"]
        assert (await kinds(bursar))["refused"] == 0


@every_format
async def test_a_clamp_does_not_go_below_its_floor(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    budgets = "[{name: tight, limit: 0.007 USD, window: month, when_short: clamp, clamp_floor: 8}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        status, _, document = await bursar.post(form.path, form.body())

        assert status == 402
        assert "tight" in form.refusal_of(document, 402)
        assert bursar.simulator.calls == []
        assert await spent(bursar, "tight") == (0, 0)
        assert (await kinds(bursar)) == {"refused": 1}


async def test_a_clamp_shares_what_is_left_among_several_answers(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    budgets = "[{name: tight, limit: 0.007 USD, window: month, when_short: clamp, clamp_floor: 1}]"
    # AGIPower takes no `n`; OpenAI does.
    async with running(
        tmp_path, redis_url, organization, budgets=budgets, provider="kind: openai"
    ) as bursar:
        status, _, _ = await bursar.chat(max_tokens=10, n=3)

        assert (status, bursar.truth_output_tokens) == (200, 6)
        assert await spent(bursar, "tight") == (6_000_000, 0)


@pytest.mark.parametrize("form", [CHAT, RESPONSES, GENERATE], ids=str)
async def test_a_request_without_a_limit_gets_the_teams(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    policies = (
        f"organization: {organization}\ndefaults: {{default_max_output_tokens: 7}}\n"
        "teams: {red: {}}\nbudgets: [{name: month, limit: 0.007 USD, window: month}]\n"
    )
    async with running(tmp_path, redis_url, organization, policies=policies) as bursar:
        status, _, document = await bursar.post(form.path, form.body(limit=None))

        assert status == 200, document
        assert bursar.truth_output_tokens == 7
        assert await spent(bursar, "month") == (7_000_000, 0)


async def test_a_request_without_any_limit_is_quoted_at_what_the_model_can_do(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    budgets = "[{name: month, limit: 4.095 USD, window: month}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        status, _, document = await bursar.chat(max_tokens=None)

        assert status == 402
        assert "$4.096" in document["error"]["message"]


@every_format
async def test_a_model_without_a_price_is_refused(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    budgets = "[{name: month, limit: 10 USD, window: month}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        path = form.path.replace("acme/mini", "acme/unpriced")
        more = {} if form is GENERATE else {"model": "acme/unpriced"}
        status, _, document = await bursar.post(path, form.body(**more))

        assert status == 400
        assert "no price is known" in form.refusal_of(document, 400)
        assert bursar.simulator.calls == []


@every_format
async def test_a_model_without_a_price_is_charged_what_was_reserved_for_it(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    budgets = (
        "[{name: month, limit: 2.5 USD, window: month, when_unpriced: {reserve: 1 USD}},"
        " {name: often, limit: 100 calls, window: month}]"
    )
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        path = form.path.replace("acme/mini", "acme/unpriced")
        more = {} if form is GENERATE else {"model": "acme/unpriced"}
        answers = [(await bursar.post(path, form.body(**more)))[0] for _ in range(3)]

        assert answers == [200, 200, 402]
        assert await spent(bursar, "month") == (2_000_000_000, 0)
        assert await spent(bursar, "often") == (2, 0)


UNITS: dict[str, tuple[str, int]] = {
    # Four tokens for each body of the size that these calls have, and ten of output.
    "calls": ("3 calls", 3),
    "output tokens": ("35 output tokens", 30),
}


@pytest.mark.parametrize("unit", UNITS)
async def test_other_units_are_counted_exactly(
    tmp_path: Path, redis_url: str, organization: str, unit: str
) -> None:
    limit, used = UNITS[unit]
    budgets = f"[{{name: counting, limit: {limit}, window: day}}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        assert await statuses(bursar, {}, {}, {}, {}) == [200, 200, 200, 402]

        assert await spent(bursar, "counting") == (used, 0)


@every_format
async def test_tokens_are_reserved_by_bytes_and_charged_as_they_were_counted(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    budgets = (
        "[{name: all, limit: 1k tokens, window: day},"
        " {name: in, limit: 1k input tokens, window: day}]"
    )
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        bursar.scenario(usage={"input": 21, "output": 4}, first_byte_delay_ms=100)
        call = asyncio.ensure_future(bursar.post(form.path, form.body()))
        await until(lambda: len(bursar.simulator.calls) == 1)
        held = [(await bursar.standing(name)).reserved for name in ("all", "in")]
        await call

        size = len(form.text())
        assert held == [size + 10, size]
        assert [await spent(bursar, name) for name in ("all", "in")] == [(25, 0), (21, 0)]


@every_format
async def test_a_rate_is_refused_with_the_time_to_wait(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    budgets = "[{name: rate, limit: 2 calls, window: rolling 1m}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        answers = [await bursar.post(form.path, form.body()) for _ in range(3)]

        assert [status for status, _, _ in answers] == [200, 200, 429]
        _, headers, document = answers[-1]
        assert "rate" in form.refusal_of(document, 429)
        assert 1 <= int(headers["retry-after"]) <= 62
        assert "x-should-retry" not in headers
        assert await spent(bursar, "rate") == (2, 0)


async def test_a_rolling_window_lets_calls_through_again_when_it_has_moved_on(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    budgets = "[{name: rate, limit: 2 calls, window: rolling 1s}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:

        async def passes() -> bool:
            return (await bursar.chat())[0] == 200

        assert [await passes(), await passes(), await passes()] == [True, True, False]
        await until(passes)
        assert (await spent(bursar, "rate"))[0] <= 2


async def test_a_window_of_first_use_begins_with_its_first_call(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    budgets = "[{name: burst, limit: 2 calls, window: first-use 1s}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:

        async def passes() -> bool:
            return (await bursar.chat())[0] == 200

        assert [await passes(), await passes(), await passes()] == [True, True, False]
        await until(passes)
        # One of the next window's two is used.
        assert await spent(bursar, "burst") == (1, 0)


@pytest.mark.parametrize("window", ["lifetime", "hour", "day", "week", "month", "rolling 5h"])
async def test_every_window_holds_its_limit(
    tmp_path: Path, redis_url: str, organization: str, window: str
) -> None:
    budgets = f"[{{name: own, limit: 0.02 USD, window: {window}, timezone: Asia/Kathmandu}}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        assert await statuses(bursar, {}, {}, {}) == [200, 200, 402]

        assert await spent(bursar, "own") == (2 * CALL, 0)
        _, headers, _ = await bursar.chat()
        assert ("x-bursar-resets-at" in headers) == (window != "lifetime")


async def test_all_budgets_must_admit_or_none_holds_anything(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    budgets = (
        "[{name: wide, limit: 10 USD, window: month}, {name: often, limit: 99 calls, window: day},"
        " {name: narrow, team: red, limit: 0.01 USD, window: month},"
        " {name: elsewhere, team: blue, limit: 0.001 USD, window: month},"
        " {name: other-models, models: ['gpt*'], limit: 0.001 USD, window: month}]"
    )
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        assert await statuses(bursar, {}, {}) == [200, 402]

        found = {name: await spent(bursar, name) for name in bursar.app.rulebook.budgets}
        assert found == {
            "wide": (CALL, 0),
            "often": (1, 0),
            "narrow": (CALL, 0),
            "elsewhere": (0, 0),
            "other-models": (0, 0),
        }


async def test_a_likely_quote_overruns_no_further_than_its_policy_allows(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    # Calls may use 100 tokens and use one: what is likely lets many more of them run at once.
    budgets = (
        "[{name: likely, limit: 0.20 USD, window: month, quote: likely, overrun_max: 0.20 USD}]"
    )
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        bursar.scenario(usage={"output": 1})
        assert await statuses(bursar, *[{"max_tokens": 100}] * 20) == [200] * 20
        assert await spent(bursar, "likely") == (20 * TOKEN_NANO_USD, 0)

        # Now each of them uses all that it may.
        bursar.scenario(first_byte_delay_ms=100)
        answers = await asyncio.gather(*(bursar.chat(max_tokens=100) for _ in range(20)))

        # Bounds of 100 tokens each: three of them fit the limit and what it may be overrun by.
        assert Counter(status for status, _, _ in answers) == {200: 3, 402: 17}
        used, reserved = await spent(bursar, "likely")
        standing = await bursar.standing("likely")
        assert (used, reserved) == (320 * TOKEN_NANO_USD, 0)
        assert used <= standing.limit + standing.overrun
        assert used <= 400 * TOKEN_NANO_USD


async def test_a_free_model_passes_a_budget_that_is_used_up(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    prices = {"acme/mini": OUTPUT_ONLY, "acme/gift": {**OUTPUT_ONLY, "output": 0}}
    budgets = "[{name: month, limit: 0.01 USD, window: month}]"
    async with running(tmp_path, redis_url, organization, budgets=budgets, prices=prices) as bursar:
        assert await statuses(bursar, {}, {}, {"model": "acme/gift"}) == [200, 402, 200]


async def test_the_headers_of_an_answer_name_the_tightest_budget(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    budgets = (
        "[{name: wide, limit: 10 USD, window: month},"
        " {name: narrow, limit: 0.04 USD, window: month}]"
    )
    async with running(tmp_path, redis_url, organization, budgets=budgets) as bursar:
        _, headers, _ = await bursar.post(MESSAGES.path, MESSAGES.body())

        assert headers["x-bursar-budget"] == "narrow"
        assert headers["x-bursar-budget-remaining"] == "0.03 USD"
        assert await pending(bursar) == []
