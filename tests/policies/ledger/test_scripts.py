"""The scripts: each is known by its digest, and compiles with the functions in front of it."""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from itertools import chain

import pytest

from policies.ledger.connection import Connection
from policies.ledger.scripts import NAMES, PRELUDES, script


@pytest.mark.parametrize("name", NAMES)
def test_a_script_is_known_by_its_digest(name: str) -> None:
    found = script(name)

    assert found.name == name
    assert found.sha == sha1(found.source, usedforsecurity=False).hexdigest().encode()
    assert script(name) is found


@pytest.mark.parametrize("name", NAMES)
async def test_redis_compiles_it_under_the_same_digest(name: str, connection: Connection) -> None:
    found = script(name)

    assert await connection.execute("SCRIPT", "LOAD", found.source) == found.sha


def test_every_file_is_a_script_or_what_stands_in_front_of_them() -> None:
    names = {
        entry.name.removesuffix(".lua") for entry in (files("policies.ledger") / "lua").iterdir()
    }

    assert names == {*NAMES, "counter", *chain.from_iterable(PRELUDES.values())}
