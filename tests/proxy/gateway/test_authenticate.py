"""Who is calling: keys from every place where SDKs put them, and what else a caller may say."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from policies.budgets import Caller
from policies.rulebook import Acceptable, Rulebook, Team
from proxy.dialects.interface import ErrorKind
from proxy.gateway.authenticate import authenticate, find_secret
from proxy.gateway.call import Refusal
from proxy.keys import Invalid, KeyRecord, Valid
from tests.doubles.calls import endpoint

SECRET = "bsr_secret"
RECORD = KeyRecord(id="key_1", team="red", created_at_ms=0, prefix="bsr_s")
ANY_QUERY = "/v1beta/models/gemini:generateContent?key="


class FakeKeys:
    """Knows one key."""

    def __init__(self, record: KeyRecord = RECORD) -> None:
        self._record = record

    async def find_fresh(self, secret: str) -> Valid | Invalid:
        return Valid(self._record) if secret == SECRET else Invalid("unknown")


def headers(**given: str) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(
        CIMultiDict({name.replace("_", "-"): value for name, value in given.items()})
    )


def rules(*accept: Acceptable) -> Rulebook:
    return Rulebook(teams={"red": Team(name="red", accept=frozenset(accept))})


async def ask(
    given: dict[str, str] | None = None,
    record: KeyRecord = RECORD,
    rulebook: Rulebook | None = None,
) -> Caller | Refusal:
    sent = headers(x_api_key=SECRET, **(given or {}))
    book = rulebook or rules("user", "session", "tags")
    return await authenticate(sent, endpoint(), FakeKeys(record), book)


async def refused(given: dict[str, str]) -> Refusal:
    found = await ask(given)
    assert isinstance(found, Refusal)
    assert (found.status, found.kind) == (400, ErrorKind.NOT_ALLOWED)
    return found


# Keys…


@pytest.mark.parametrize(
    "given",
    [
        {"authorization": f"Bearer {SECRET}"},
        {"authorization": f"bearer   {SECRET} "},
        {"Authorization": f"BEARER {SECRET}"},
        {"x-api-key": SECRET},
        {"X-Api-Key": f" {SECRET} "},
        {"x-goog-api-key": SECRET},
        {"api-key": SECRET},
    ],
    ids=str,
)
async def test_a_key_is_found_in_every_header_that_sdks_use(given: dict[str, str]) -> None:
    found = await authenticate(
        CIMultiDictProxy(CIMultiDict(given)), endpoint(), FakeKeys(), rules()
    )

    assert found == Caller(key_id="key_1", team="red")


async def test_a_key_is_found_in_the_query_where_google_puts_it() -> None:
    found = await authenticate(headers(), endpoint(ANY_QUERY + SECRET), FakeKeys(), rules())

    assert found == Caller(key_id="key_1", team="red")


@pytest.mark.parametrize(
    ("given", "from_query", "secret"),
    [
        ({"x_api_key": "a", "authorization": "Bearer b"}, "c", "a"),
        ({"authorization": "Bearer b"}, "c", "b"),
        ({"authorization": "Basic b"}, "c", "c"),
        ({"authorization": "Bearer "}, "", None),
        ({"authorization": "Bearer"}, None, None),
        ({"authorization": ""}, None, None),
        ({"x_api_key": ""}, None, None),
        ({}, None, None),
    ],
    ids=str,
)
def test_headers_go_before_the_query(
    given: dict[str, str], from_query: str | None, secret: str | None
) -> None:
    assert find_secret(headers(**given), from_query) == secret


async def test_no_key_is_told_how_to_send_one() -> None:
    found = await authenticate(headers(), endpoint(), FakeKeys(), rules())

    assert isinstance(found, Refusal)
    assert (found.status, found.kind) == (401, ErrorKind.UNAUTHENTICATED)
    assert "Authorization: Bearer" in found.message


async def test_a_key_that_is_no_good_is_told_why_and_never_repeated() -> None:
    found = await authenticate(headers(x_api_key="bsr_wrong"), endpoint(), FakeKeys(), rules())

    assert isinstance(found, Refusal)
    assert found.status == 401
    assert "unknown" in found.message
    assert "bsr_wrong" not in found.message


# What callers may say…


async def test_a_key_says_who_is_calling() -> None:
    record = KeyRecord(
        id="key_1", team="red", created_at_ms=0, prefix="", user="alice", tags=(("k", "v"),)
    )

    assert await ask(record=record) == Caller(
        key_id="key_1", team="red", user="alice", tags=(("k", "v"),)
    )


async def test_headers_add_to_what_the_key_says() -> None:
    found = await ask(
        {
            "x_bursar_user": "alice",
            "x_bursar_session": "s-1",
            "x_bursar_tags": "b=2, a = 1,c=x=y",
        }
    )

    assert found == Caller(
        key_id="key_1",
        team="red",
        user="alice",
        session="s-1",
        tags=(("a", "1"), ("b", "2"), ("c", "x=y")),
    )


async def test_what_a_key_is_tagged_with_cannot_be_changed() -> None:
    record = KeyRecord(id="k", team="red", created_at_ms=0, prefix="", tags=(("cost", "own"),))

    found = await ask({"x_bursar_tags": "cost=others,more=1"}, record)

    assert isinstance(found, Caller)
    assert found.tags == (("cost", "own"), ("more", "1"))


async def test_a_keys_user_may_be_repeated_and_not_replaced() -> None:
    record = KeyRecord(id="k", team="red", created_at_ms=0, prefix="", user="alice")

    same, other = (
        await ask({"x_bursar_user": "alice"}, record),
        await ask({"x_bursar_user": "bob"}, record),
    )

    assert isinstance(same, Caller)
    assert isinstance(other, Refusal)
    assert "belongs to user 'alice'" in other.message


@pytest.mark.parametrize("word", ["user", "session", "tags"])
async def test_a_header_that_the_team_does_not_accept_is_refused(word: str) -> None:
    others: tuple[Acceptable, ...] = ("user", "session", "tags")
    accept = [each for each in others if each != word]

    found = await ask({f"x_bursar_{word}": "k=v"}, rulebook=rules(*accept))

    assert isinstance(found, Refusal)
    assert f"may not send x-bursar-{word}" in found.message
    assert f"'{word}'" in found.message


async def test_a_team_without_a_policy_accepts_nothing() -> None:
    found = await ask({"x_bursar_user": "alice"}, rulebook=Rulebook())

    assert isinstance(found, Refusal)


@pytest.mark.parametrize("word", ["user", "session"])
@pytest.mark.parametrize("value", ["", "a\tb", "a\x7f", "\udce4", "x" * 129], ids=repr)
async def test_a_value_that_cannot_be_shown_is_refused(word: str, value: str) -> None:
    refusal = await refused({f"x_bursar_{word}": value})

    assert "128 printable characters" in refusal.message


@pytest.mark.parametrize("word", ["user", "session"])
async def test_a_value_of_the_greatest_length_passes(word: str) -> None:
    assert isinstance(await ask({f"x_bursar_{word}": "ü" * 128}), Caller)


@pytest.mark.parametrize(
    "tags",
    ["k", "k=", "=v", "k=v,", ",", "k=v,,l=w", ",".join(f"k{n}=v" for n in range(17))],
    ids=repr,
)
async def test_tags_that_are_no_list_of_pairs_are_refused(tags: str) -> None:
    refusal = await refused({"x_bursar_tags": tags})

    assert "k=v,k2=v2" in refusal.message


@pytest.mark.parametrize("tags", ["k=" + "v" * 129, "k" * 129 + "=v"], ids=["value", "name"])
async def test_a_long_tag_is_refused(tags: str) -> None:
    await refused({"x_bursar_tags": tags})


async def test_as_many_and_as_long_tags_as_allowed_pass() -> None:
    tags = ", ".join(f"{n:0128}={'v' * 128}" for n in range(16))

    found = await ask({"x_bursar_tags": tags})

    assert isinstance(found, Caller)
    assert len(found.tags) == 16
