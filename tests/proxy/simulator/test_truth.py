"""The ground truth about all calls."""

import pytest

from proxy.simulator import truth as truth_module
from proxy.simulator.keys import KeyKind
from proxy.simulator.truth import Call, Truth, describe
from proxy.simulator.usage import Usage
from tests.proxy.simulator.conversation import HandClock


def _add(truth: Truth, **fields: object) -> Call:
    index = truth.next_index()
    call = Call(
        id=f"call_{index}",
        index=index,
        at=0.0,
        method="POST",
        path="/",
        dialect="chat_completions",
        flavour="agipower",
        key_kind=KeyKind.PAYG,
        key="sk-ai-v1-secret",
        headers=(("authorization", "Bearer sk-ai-v1-secret"), ("accept", "*/*")),
        body_bytes=0,
        body_sha256="",
        generation_ids=(f"gen_{index}",),
    )
    for name, value in fields.items():
        setattr(call, name, value)
    truth.add(call)
    truth.index_ids(call)
    return call


def test_a_description_holds_no_secret(clock: HandClock) -> None:
    row = describe(_add(Truth(clock)))

    assert row["headers"] == {"authorization": "payg", "accept": "*/*"}
    assert "secret" not in str(row)


def test_totals_add_up_all_calls(clock: HandClock) -> None:
    truth = Truth(clock)
    _add(truth, status=200, usage=Usage(input=3, output=4), billed_nano_usd=5, streamed=True)
    _add(truth, status=402, leaked_client_key=True)
    done = _add(truth, status=200, usage=Usage(input=1), billed_nano_usd=7, cut=True)
    truth.finish(done)

    totals = truth.totals()

    assert (totals.calls, totals.answered, totals.refused, totals.in_flight) == (3, 2, 1, 2)
    assert (totals.input, totals.output, totals.billed_nano_usd) == (4, 4, 12)
    assert (totals.streamed, totals.cut, totals.leaked_client_keys) == (1, 1, 1)


def test_a_call_ends_once(clock: HandClock) -> None:
    truth = Truth(clock)
    call = _add(truth)

    truth.finish(call)
    clock.advance(5)
    truth.finish(call)

    assert call.finished_at == clock.now - 5


def test_indices_go_on_after_the_truth_was_emptied(clock: HandClock) -> None:
    truth = Truth(clock)
    _add(truth)
    truth.count_free_request("models")

    truth.clear()

    assert truth.find("gen_0") is None
    assert truth.free_requests == {}
    assert _add(truth).index == 1
    assert [call.index for call in truth.since(1)] == [1]
    assert list(truth.since(2)) == []


def test_the_oldest_calls_are_folded_into_the_totals(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truth_module, "CALLS_MAX", 10)
    truth = Truth(clock)

    for _ in range(25):
        _add(truth, billed_nano_usd=1)

    assert len(truth.calls) <= 10
    assert truth.totals().calls == truth.totals().billed_nano_usd == 25
    assert truth.find("gen_0") is None
    assert truth.find("gen_24") is not None
