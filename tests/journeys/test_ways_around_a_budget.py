"""What a clever request may try: another model's name, another's answer, another reader's text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.doubles.running import Running, running

POLICIES = """
organization: {organization}
teams:
  red: {{models: ["acme/*", "google/*"]}}
  blue: {{}}
budgets:
  - {{name: everything, limit: 10 USD, window: month}}
  - {{name: opus, models: ["anthropic/claude-opus-5.5"], limit: 0 USD, window: month}}
"""
CHAT: dict[str, Any] = {
    "model": "acme/mini-free",
    "messages": [{"role": "user", "content": "Hi"}],
    "max_tokens": 10,
}


def _nothing_was_sent(bursar: Running) -> bool:
    return bursar.simulator.calls == []


@pytest.mark.parametrize(
    "fields",
    [
        {"provider": {"fallback": "anthropic/claude-opus-5.5"}},
        {"models": ["anthropic/claude-opus-5.5"]},
        {"model_routing_config": {"available_models": ["anthropic/claude-opus-5.5"]}},
    ],
)
async def test_a_body_that_names_another_model_is_refused(
    tmp_path: Path, redis_url: str, organization: str, fields: dict[str, Any]
) -> None:
    policies = POLICIES.format(organization=organization)
    async with running(tmp_path, redis_url, organization, policies=policies, prices={}) as bursar:
        status, _, body = await bursar.post("/v1/chat/completions", CHAT | fields)

        assert status == 400
        assert next(iter(fields)) in body["error"]["message"]
        assert _nothing_was_sent(bursar)


@pytest.mark.parametrize(
    "spelling",
    [
        "anthropic/claude-opus-5.5",
        "anthropic/claude-opus-5-5",
        "Anthropic/Claude-Opus-5.5",
        "claude-opus-5.5",
        "anthropic/claude_opus_5.5",
        "anthropic/claude-opus-5.5:amazon-bedrock",
    ],
)
async def test_no_spelling_of_a_model_is_a_way_around_its_budget(
    tmp_path: Path, redis_url: str, organization: str, spelling: str
) -> None:
    policies = POLICIES.format(organization=organization)
    async with running(tmp_path, redis_url, organization, policies=policies, prices={}) as bursar:
        _, blue = await bursar.app.key_store.create("blue")
        bursar.key = blue

        status, headers, _ = await bursar.post("/v1/chat/completions", CHAT | {"model": spelling})

        assert (status, headers.get("x-bursar-budget")) == (402, "opus")
        assert _nothing_was_sent(bursar)


async def test_no_spelling_leads_to_a_model_that_the_team_may_not_use(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    policies = POLICIES.format(organization=organization)
    async with running(tmp_path, redis_url, organization, policies=policies, prices={}) as bursar:
        for spelling in ("anthropic/claude-haiku-4.5:acme/mini", "claude-haiku-4.5"):
            status, _, _ = await bursar.post("/v1/chat/completions", CHAT | {"model": spelling})
            assert status == 403
        assert _nothing_was_sent(bursar)


async def test_another_teams_answer_cannot_be_gone_on_from(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization) as bursar:
        body = {"model": "acme/mini", "input": "Hi", "max_output_tokens": 10}
        _, _, first = await bursar.post("/v1/responses", body)
        _, other_key = await bursar.app.key_store.create("blue", user="alice")
        own = await bursar.post("/v1/responses", body | {"previous_response_id": first["id"]})
        bursar.key = other_key

        status, _, refused = await bursar.post(
            "/v1/responses", body | {"previous_response_id": first["id"]}
        )

        assert own[0] == 200
        assert status == 404
        assert "previous_response_id" in str(refused)
        assert len(bursar.simulator.calls) == 2


async def test_a_charset_that_the_provider_would_read_otherwise_is_refused(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization) as bursar:
        status, _, _ = await bursar.chat(
            headers={"content-type": "application/json; charset=utf-7"}
        )
        fine, _, _ = await bursar.chat(
            headers={"content-type": 'application/json; charset="UTF-8"'}
        )

        assert (status, fine) == (415, 200)


async def test_a_tier_that_a_header_asks_for_needs_a_price(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization) as bursar:
        tier = {"x-vertex-ai-llm-shared-request-type": "priority"}
        contents = {"contents": [{"parts": [{"text": "Hi"}]}]}

        status, _, body = await bursar.post("/v1beta/models/mini:generateContent", contents, **tier)

        assert status == 400, body
        assert _nothing_was_sent(bursar)
