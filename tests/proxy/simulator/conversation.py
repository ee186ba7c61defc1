"""A client of the simulator, and a clock that is moved by hand."""

import json
from decimal import Decimal
from typing import Any

import aiohttp

PAYG = "sk-ai-v1-payg"
SUBSCRIPTION = "sk-ss-v1-subscription"
MANAGEMENT = "sk-mg-v1-management"
VENICE = "VENICE_INFERENCE_KEY_abc"
VENICE_ADMIN = "VENICE_ADMIN_KEY_abc"
CHAT = "/api/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "How much is left?"}]
CONTENTS = [{"role": "user", "parts": [{"text": "How much is left?"}]}]


class HandClock:
    """Wall-clock seconds that only move when told to."""

    def __init__(self, now: float = 1_795_300_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class Reply:
    """An answer that has been read to its end."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def document(self) -> Any:  # JSON may be anything.
        """The JSON in the body, money as decimals."""
        return json.loads(self.body, parse_float=Decimal)

    @property
    def events(self) -> list[Any]:
        """The JSON of each server-sent event; comments and `[DONE]` are left out."""
        lines = self.body.decode().splitlines()
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        return [json.loads(text, parse_float=Decimal) for text in data if text != "[DONE]"]


class Conversation:
    """Sends requests to one simulator."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def ask(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        key: str = PAYG,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request, answered to the end."""
        sent = {"authorization": f"Bearer {key}"} if key else {}
        async with self.session.request(
            method, self.url + path, json=document, headers=sent | (headers or {})
        ) as response:
            names = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, names, await response.read())

    async def get(self, path: str, *, key: str = PAYG, **headers: str) -> Reply:
        """One GET."""
        return await self.ask("GET", path, key=key, headers=headers)

    async def post(self, path: str, document: object, *, key: str = PAYG) -> Reply:
        """One POST."""
        return await self.ask("POST", path, document, key=key)

    async def chat(
        self, model: str = "acme/mini", *, path: str = CHAT, key: str = PAYG, **fields: object
    ) -> Reply:
        """One chat completion."""
        return await self.post(path, {"model": model, "messages": MESSAGES, **fields}, key=key)

    async def scene(self, *documents: dict[str, Any]) -> None:
        """Tell the simulator what comes next."""
        reply = await self.post("/simulator/scenario", list(documents), key="")
        assert reply.status == 200, reply.body

    async def truth(self) -> list[dict[str, Any]]:
        """What the simulator says has happened."""
        items: list[dict[str, Any]] = (await self.get("/simulator/calls")).document["items"]
        return items

    async def last(self) -> dict[str, Any]:
        """The truth about the latest call."""
        return (await self.truth())[-1]
