"""Fixtures of the SDK tests: the pair of which everything is asked twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sdks.pair import Pair, asked_twice


@pytest.fixture
async def pair(tmp_path: Path, redis_url: str, organization: str) -> AsyncIterator[Pair]:
    async with asked_twice(tmp_path, redis_url, organization) as made:
        yield made
