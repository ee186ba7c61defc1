"""What an answer has said is never more than is known."""

from __future__ import annotations

import msgspec
import pytest

from policies.usage import AtLeast, Exact, ReportedCost, Unknown, Usage, UsageLine
from proxy.dialects.answer import ERROR_CHARS_MAX, Answer

LINES = (UsageLine(usage=Usage(input_tokens=3)),)
ZEROS = (UsageLine(usage=Usage()), UsageLine(model="m", usage=Usage()))


class Plain(Answer):
    final = True

    @property
    def usage_is_final(self) -> bool:
        return self.final

    def tells(self, block: bytes) -> bool:
        raise NotImplementedError

    def note(self, data: bytes) -> None:
        raise NotImplementedError

    def note_body(self, body: bytes) -> None:
        raise NotImplementedError


@pytest.fixture
def answer() -> Plain:
    return Plain()


def test_without_usage_nothing_is_known(answer: Plain) -> None:
    assert answer.metered() == Unknown()


def test_usage_that_will_not_change_is_exact(answer: Plain) -> None:
    answer.note_usage(ZEROS)
    answer.note_usage(LINES)

    assert answer.metered() == Exact(LINES)


def test_usage_that_may_still_grow_is_a_minimum(answer: Plain) -> None:
    answer.note_usage(LINES)
    answer.final = False

    assert answer.metered() == AtLeast(LINES)


def test_all_zeros_are_not_zero(answer: Plain) -> None:
    answer.note_usage(ZEROS)

    assert answer.metered() == Unknown()


def test_usage_that_cannot_be_believed_makes_the_former_a_minimum(answer: Plain) -> None:
    answer.note_usage(LINES)
    answer.note_usage(None)

    assert answer.metered() == AtLeast(LINES)


def test_usage_before_an_error_is_a_minimum_and_usage_after_it_is_exact(answer: Plain) -> None:
    answer.note_usage(LINES)
    answer.note_error(msgspec.Raw(b'"It broke"'))
    assert answer.metered() == AtLeast(LINES)

    answer.note_usage(LINES)
    assert answer.metered() == Exact(LINES)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"message":"No","code":1}', "No"),
        (b'"No"', "No"),
        (b'{"code":1}', '{"code":1}'),
        (b'{"message":3}', '{"message":3}'),
        (b"7", "7"),
        (b'{"message":"', '{"message":"'),
        (b"null", None),
    ],
)
def test_an_error_says_what_it_can(answer: Plain, raw: bytes, message: str | None) -> None:
    answer.note_error(msgspec.Raw(raw))

    assert answer.error == message


def test_a_page_of_an_error_is_cut(answer: Plain) -> None:
    answer.note_error(msgspec.Raw(b'"' + b"x" * 10_000 + b'"'))

    assert answer.error == "x" * ERROR_CHARS_MAX


def test_the_first_id_and_the_last_model_count(answer: Plain) -> None:
    answer.identify(None, "a")
    answer.identify("id1", None)
    answer.identify("id2", "b")

    assert (answer.generation_id, answer.model) == ("id1", "b")


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        (b'{"generationId" : "gen_1"}', ("id1", "gen_1")),
        (b'{"generationId":"id1"}', ("id1",)),
        (b'{"generationId":""}', ("id1",)),
        (b'{"generationId":null}', ("id1",)),
        (b'{"generationId":"a b"}', ("id1",)),
        (b"{}", ("id1",)),
    ],
)
def test_other_ids_come_after_the_dialect_s_own(
    answer: Plain, data: bytes, ids: tuple[str, ...]
) -> None:
    answer.identify("id1", None)
    answer.identify_elsewhere(data)
    answer.identify_elsewhere(data)

    assert answer.reading().generation_ids == ids


@pytest.mark.parametrize(
    ("body", "produced", "generation_id"),
    [
        (b"", False, None),
        (b"  ", False, None),
        (b"<html>", True, None),
        (b' { "id" : "id1", "obj', True, "id1"),
        (b'{"object":"x","id":"id1', True, None),
    ],
)
def test_a_cut_body_may_still_name_its_id(
    answer: Plain, body: bytes, produced: bool, generation_id: str | None
) -> None:
    answer.note_unreadable(body)

    assert (answer.produced_output, answer.generation_id) == (produced, generation_id)


def test_costs_are_kept_by_currency(answer: Plain) -> None:
    assert answer.reading().cost is None

    answer.note_cost("USD", msgspec.Raw(b"1e-5"))
    answer.note_cost("DIEM", msgspec.Raw(b"null"))

    assert answer.reading().cost == ReportedCost(amounts={"USD": "1e-5"})
