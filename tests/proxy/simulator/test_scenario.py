"""Scenario documents: which are understood, and which call gets which."""

from typing import Any

import pytest

from proxy.simulator.paths import Flavour
from proxy.simulator.scenario import (
    PLAIN,
    Scenario,
    Script,
    UnusableScenario,
    decode_scenarios,
)


def _script(*documents: str) -> Script:
    script = Script()
    for document in documents:
        for scenario in decode_scenarios(document.encode()):
            script.add(scenario)
    return script


def _take(script: Script, model: str = "acme/mini", **changes: object) -> Scenario:
    place: dict[str, Any] = {"dialect": "chat_completions", "flavour": Flavour.AGIPOWER}
    place |= {"streamed": False} | changes
    return script.take(model, place["dialect"], place["flavour"], streamed=place["streamed"])


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('{"statsu": 500}', "unknown field `statsu`"),
        ('{"match": {"team": "a"}}', "unknown field `team`"),
        ('{"times": 0}', ">= 1"),
        ('{"status": 200}', ">= 400"),
        ('{"usage": {"input": -1}}', ">= 0"),
        ('{"billed_factor": "-1"}', "regex"),
        ('{"billed_factor": "1", "billed_nano_usd": 1}', "exclude each other"),
        ('{"compress": "lzma"}', "lzma"),
        ("[", "truncated"),
    ],
)
def test_a_mistake_is_named(document: str, reason: str) -> None:
    with pytest.raises(UnusableScenario, match=reason):
        decode_scenarios(document.encode())


def test_without_a_document_a_call_is_plain() -> None:
    assert _take(Script()) is PLAIN


def test_a_finite_document_is_used_up() -> None:
    script = _script('{"status": 500, "times": 2}')

    assert [_take(script).status for _ in range(3)] == [500, 500, None]


def test_finite_documents_wait_in_line() -> None:
    script = _script('[{"status": 500, "times": 1}, {"status": 429, "times": 1}]')

    assert [_take(script).status for _ in range(3)] == [500, 429, None]


def test_a_finite_document_goes_before_an_endless_one() -> None:
    script = _script('{"chunks": 3}', '{"chunks": 5, "times": 1}')

    assert [_take(script).chunks for _ in range(3)] == [5, 3, 3]


def test_an_endless_document_is_replaced_by_one_with_the_same_match() -> None:
    script = _script('{"chunks": 3}', '{"chunks": 5}')

    assert _take(script).chunks == 5
    assert len(script.waiting) == 1


def test_of_endless_documents_the_latest_that_fits_is_used() -> None:
    script = _script('{"chunks": 3}', '{"chunks": 5, "match": {"model": "acme/*"}}')

    assert _take(script).chunks == 5
    assert _take(script, "openai/gpt-5.6").chunks == 3


@pytest.mark.parametrize(
    ("match", "changes"),
    [
        ('{"model": "*opus*"}', {}),
        ('{"dialect": "messages"}', {}),
        ('{"flavour": "venice"}', {}),
        ('{"streamed": true}', {}),
    ],
)
def test_a_document_leaves_other_calls_alone(match: str, changes: dict[str, Any]) -> None:
    script = _script(f'{{"status": 500, "times": 1, "match": {match}}}')

    assert _take(script, **changes) is PLAIN
    assert len(script.waiting) == 1


def test_what_is_left_of_a_finite_document_is_shown() -> None:
    script = _script('{"status": 500, "times": 3}')
    _take(script)

    assert [scenario.times for scenario in script.waiting] == [2]


def test_account_settings_change_no_answer() -> None:
    settings, answer = decode_scenarios(
        b'[{"balance_usd": "1"}, {"balance_usd": "1", "chunks": 2}]'
    )

    assert not settings.changes_answers
    assert answer.changes_answers


def test_a_script_can_be_forgotten() -> None:
    script = _script('{"status": 500}', '{"status": 500, "times": 1}')

    script.clear()

    assert _take(script) is PLAIN
