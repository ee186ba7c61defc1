"""Where an id is looked up."""

from __future__ import annotations

import pytest

from proxy.receipts.adapters.lookups import Lookups
from tests.proxy.receipts.adapters.configured import Configured

BASE = "https://provider.example"
PATHS = ("/new?id={generation_id}", "/old?id={generation_id}")
AUTH = (("Authorization", "Bearer k"),)


def urls(generation_id: str, **fields: object) -> list[str]:
    lookups = Lookups(BASE, Configured(**fields), PATHS, AUTH)  # type: ignore[arg-type]  # Any field.
    return [f"{target.method} {target.url}" for target in lookups.of(generation_id)]


def test_each_path_is_tried_in_its_order() -> None:
    assert urls("gen_1") == [f"GET {BASE}/new?id=gen_1", f"GET {BASE}/old?id=gen_1"]


@pytest.mark.parametrize(
    ("generation_id", "sent"),
    [
        ("a b&id=c", "a%20b%26id%3Dc"),
        ("../x/y?z#w", "..%2Fx%2Fy%3Fz%23w"),
        ("é%", "%C3%A9%25"),
        ("{generation_id}", "%7Bgeneration_id%7D"),
    ],
)
def test_an_id_is_opaque(generation_id: str, sent: str) -> None:
    assert urls(generation_id)[0] == f"GET {BASE}/new?id={sent}"


@pytest.mark.parametrize("generation_id", ["", "\ud800", "a\nb", "\x00", "x" * 257])
def test_what_cannot_be_an_id_is_not_asked_for(generation_id: str) -> None:
    assert urls(generation_id) == []


def test_a_host_may_have_a_path_of_its_own() -> None:
    own = {"generation": "/v2/bill?generate_id={generation_id}"}

    assert urls("gen_1", paths=own) == [f"GET {BASE}/v2/bill?generate_id=gen_1"]


def test_a_path_without_a_place_for_the_id_is_refused() -> None:
    with pytest.raises(ValueError, match=r"path 'generation' has no \{generation_id\}"):
        urls("gen_1", paths={"generation": "/v2/bill"})


def test_it_carries_the_key_and_what_the_configuration_adds() -> None:
    (target, _) = Lookups(BASE, Configured(headers={"x-org": "o"}), PATHS, AUTH).of("gen_1")

    assert target.headers == (*AUTH, ("Accept", "application/json"), ("x-org", "o"))
