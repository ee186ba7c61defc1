"""OpenRouter's and Vercel's credits."""

from decimal import Decimal

from tests.proxy.simulator.conversation import Conversation


async def test_each_tells_its_credits_in_its_own_way(talk: Conversation) -> None:
    await talk.scene({"billed_nano_usd": 1_500_000_000})
    for flavour in ("openrouter", "vercel"):
        await talk.chat(path=f"/{flavour}/v1/chat/completions")

    openrouter = await talk.get("/openrouter/api/v1/credits")
    vercel = await talk.get("/vercel/v1/credits")
    key = await talk.get("/openrouter/api/v1/key")

    assert openrouter.document == {"data": {"total_credits": 1_000, "total_usage": Decimal("1.5")}}
    assert vercel.document == {"balance": "998.500000000", "total_used": "1.500000000"}
    assert key.document["data"]["limit_remaining"] == Decimal("998.5")


async def test_others_have_no_credits(talk: Conversation) -> None:
    assert (await talk.get("/openai/v1/credits")).status == 404
    assert (await talk.get("/vercel/v1/key")).status == 404


async def test_credits_need_a_key(talk: Conversation) -> None:
    assert (await talk.get("/vercel/v1/credits", key="")).status == 401
    assert (await talk.get("/openrouter/v1/key", key="")).status == 401
