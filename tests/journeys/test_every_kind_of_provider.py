"""Every kind of provider in every dialect: metered exactly where it speaks it, not sent where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.aftermath import faults
from tests.doubles.formats import FORMATS, TOKEN_NANO_USD
from tests.doubles.running import OUTPUT_ONLY, running

BUDGETS = "[{name: month, limit: 10 USD, window: month}]"
# Where the path names the model, some providers know it without its owner.
PRICES = {"acme/mini": OUTPUT_ONLY, "mini": OUTPUT_ONLY}
OPENAI = {"chat_completions", "responses"}
SPEAKS = {
    "agipower": OPENAI | {"messages", "generate_content"},
    "venice": OPENAI,
    "openai": OPENAI,
    "anthropic": {"messages"},
    "google": {"generate_content"},
    "openrouter": OPENAI | {"messages"},
    "vercel": OPENAI | {"messages"},
}


@pytest.mark.parametrize("kind", SPEAKS)
async def test_each_dialect_is_metered_exactly_or_refused(
    tmp_path: Path, redis_url: str, organization: str, kind: str
) -> None:
    async with running(
        tmp_path,
        redis_url,
        organization,
        budgets=BUDGETS,
        prices=PRICES,
        provider=f"kind: {kind}",
    ) as bursar:
        bursar.scenario(usage={"output": 3})
        spoken = set()
        for form in FORMATS:
            for stream in (False, True):
                status, _, document = await bursar.post(
                    form.path_of(stream=stream), form.body(stream=stream)
                )
                if status == 200:
                    spoken.add(form.name)
                else:
                    assert "does not speak" in form.refusal_of(document, 404)
        await bursar.settled()

        assert spoken == SPEAKS[kind]
        assert len(bursar.simulator.calls) == 2 * len(spoken)
        assert not any(call.leaked_client_key for call in bursar.simulator.calls)
        standing = await bursar.standing("month")
        assert (standing.spent, standing.reserved) == (6 * len(spoken) * TOKEN_NANO_USD, 0)
        assert faults(bursar) == []
