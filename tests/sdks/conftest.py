"""Fixtures of the SDK tests: the pair of which everything is asked twice."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from tests.sdks.pair import Pair, asked_twice

# Variables by which a developer's own machine would lead the SDKs elsewhere, or into a proxy.
_LEADING_ASTRAY: Final = re.compile(
    r"(?:OPENAI|ANTHROPIC|GOOGLE|GEMINI|GCLOUD)_.*|.*_PROXY", re.IGNORECASE
)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in filter(_LEADING_ASTRAY.fullmatch, list(os.environ)):
        monkeypatch.delenv(name)


@pytest.fixture
async def pair(tmp_path: Path, redis_url: str, organization: str) -> AsyncIterator[Pair]:
    async with asked_twice(tmp_path, redis_url, organization) as made:
        yield made
