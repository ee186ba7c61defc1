"""When a provider is asked again, by what is known of its wallet."""

from __future__ import annotations

import msgspec

from proxy.wallets.wallet import (
    NUDGE_AFTER_MS,
    NUDGE_GAP_MS,
    KnownQuota,
    Source,
    Wallet,
    begun,
    due_ms,
    is_nudged,
    newest_first,
    slowed,
    source_due_ms,
    with_source,
)

EVERY_MS = 60_000
FLOWS = KnownQuota(name="5_hour", unit="flows", limit=9, remaining=5, samples=((1, 2),))


def wallet(**more: object) -> Wallet:
    sources = {"detail": Source(digest="d", began_ms=1_000, next_ms=61_000, quotas=(FLOWS,))}
    return msgspec.structs.replace(Wallet(sources=sources, asked_ms=1_000, began_ms=1_000), **more)


def test_what_was_never_asked_is_due() -> None:
    assert due_ms(Wallet(), 0, {"detail": "d"}, EVERY_MS) == 0
    assert due_ms(wallet(), 0, {"detail": "d", "balance": "b"}, EVERY_MS) == 0


def test_what_was_asked_is_due_at_its_time_and_not_while_the_provider_wants_a_rest() -> None:
    assert due_ms(wallet(), 0, {"detail": "d"}, EVERY_MS) == 61_000
    assert due_ms(wallet(slow_until_ms=99_000), 0, {"detail": "d"}, EVERY_MS) == 99_000


def test_a_refused_call_is_news_until_a_poll_has_begun_after_it() -> None:
    assert not is_nudged(Wallet(), 0)
    assert not is_nudged(wallet(), 999)
    assert is_nudged(wallet(), 1_000)
    assert is_nudged(wallet(), 1_001)


def test_polls_after_refusals_are_ever_further_apart() -> None:
    digests = {"detail": "d"}

    assert due_ms(wallet(), 1_500, digests, EVERY_MS) == 1_000 + NUDGE_GAP_MS
    assert due_ms(wallet(nudges=3), 1_500, digests, EVERY_MS) == 1_000 + 8 * NUDGE_GAP_MS
    assert due_ms(wallet(nudges=10**9), 1_500, digests, EVERY_MS) == 61_000
    assert due_ms(wallet(), 30_000, digests, EVERY_MS) == 30_000 + NUDGE_AFTER_MS
    assert due_ms(wallet(slow_until_ms=50_000), 30_000, digests, EVERY_MS) == 50_000


def test_what_is_unavailable_is_tried_sooner_by_another_request() -> None:
    source = Source(digest="d", next_ms=1_800_000, turn_ms=500, is_unavailable=True)
    known = with_source(wallet(), "plan", source)

    assert source_due_ms(known, "plan", "d", EVERY_MS) == 1_800_000
    assert source_due_ms(known, "plan", "other", EVERY_MS) == 60_500


def test_a_poll_that_a_refusal_began_asks_for_everything_that_can_be_had() -> None:
    gone = Source(digest="p", next_ms=1_800_000, is_unavailable=True)
    known = with_source(with_source(wallet(), "plan", gone), "old", Source())

    nudged = begun(known, {"detail", "plan"}, 5_000, nudged=True, afresh=False)
    regular = begun(nudged, {"detail", "plan"}, 65_000, nudged=False, afresh=False)
    afresh = begun(slowed(known, 10**9, None), {"plan"}, 5_000, nudged=False, afresh=True)

    assert {name: s.next_ms for name, s in nudged.sources.items()} == {
        "detail": 5_000,
        "plan": 1_800_000,
    }
    assert (nudged.asked_ms, nudged.nudges, nudged.began_ms) == (5_000, 1, 1_000)
    assert (regular.asked_ms, regular.nudges) == (65_000, 0)
    assert regular.sources == nudged.sources
    assert (afresh.sources["plan"].next_ms, afresh.slow_until_ms) == (5_000, 0)


def test_pauses_are_those_that_the_provider_names_or_double() -> None:
    once = slowed(wallet(), 10_000, None)
    twice = slowed(once, 50_000, None)

    assert (once.slow_until_ms, twice.slow_until_ms) == (40_000, 110_000)
    assert slowed(twice, 0, 7_000).slow_until_ms == 7_000
    assert slowed(wallet(), 0, 0).slow_until_ms == 1_000
    assert slowed(wallet(slow_ms=10**9), 0, None).slow_until_ms == 900_000


def test_the_latest_word_counts() -> None:
    old = Source(began_ms=1, account_status="healthy", usd_per_credit={"flows": "1", "x": "2"})
    new = Source(began_ms=9, account_status="monitored", usd_per_credit={"flows": "3"})
    silent = Source(began_ms=10, fault="cut")
    known = Wallet(sources={"old": old, "new": new, "silent": silent})

    assert newest_first(known.sources.values()) == [silent, new, old]
    assert known.account_status == "monitored"
    assert known.usd_per_credit == {"flows": "3", "x": "2"}
    assert known.faults == {"silent": "cut"}
    assert Wallet().account_status is None
    assert wallet().quotas == (FLOWS,)


def test_a_wallet_survives_being_written() -> None:
    written = msgspec.json.encode(wallet(slow_ms=5))

    assert msgspec.json.decode(written, type=Wallet) == wallet(slow_ms=5)
