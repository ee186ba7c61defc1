"""The npm SDKs: what they get through the proxy is what they get without it, refusals included.

Each SDK is one program below npm/ that asks everything of both sides, in one run; the tests look at
what it printed, at what the wires heard, and at the books.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.requirements import REQUIRE_ALL, require
from tests.sdks import npm_modules
from tests.sdks.npm_modules import FOLDER
from tests.sdks.pair import PROVIDER_KEY, UNKNOWN_KEY, Books, Heard, Pair, asked_twice, heard

# What each SDK raises for 402, 401 and 429.
RAISED = {
    "openai": ("APIError", "AuthenticationError", "RateLimitError"),
    "anthropic": ("PaymentRequiredError", "AuthenticationError", "RateLimitError"),
    "genai": ("ApiError", "ApiError", "ApiError"),
    "ai": ("APICallError", "APICallError", "APICallError"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one program."""

    sdk: str
    #: What it printed; see npm/asking.mjs.
    answers: dict[str, dict[str, Any]]
    poor: dict[str, dict[str, Any]]
    unknown: dict[str, dict[str, Any]]
    rate: dict[str, Any]
    straight: Heard
    through: Heard
    books: Books
    truth: Books

    def statuses_of_refusals(self) -> list[int]:
        """Return the statuses of everything that the proxied side heard after the twin questions."""
        return [status for status, _, _ in self.through.answers[len(self.straight.answers) :]]


@pytest.fixture(scope="module", params=sorted(RAISED))
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> Run:
    node = npm_modules.install()
    sdk: str = request.param
    return asyncio.run(_run(node, sdk, tmp_path_factory.mktemp(sdk), redis_url))


async def _run(node: str, sdk: str, folder: Path, redis_url: str) -> Run:
    async with asked_twice(folder, redis_url, f"npm-{sdk}") as pair:
        printed = await npm_modules.run(node, f"{sdk}.mjs", **_environment(pair))
        return Run(
            sdk=sdk,
            answers=printed["answers"],
            poor=printed["refusals"]["poor"],
            unknown=printed["refusals"]["unknown"],
            rate=printed["rate"],
            straight=heard(None, pair.direct_wire),
            through=heard(None, pair.proxied_wire),
            books=await pair.books(),
            truth=pair.truth,
        )


def _environment(pair: Pair) -> dict[str, str]:
    return {
        "DIRECT_URL": pair.direct.url,
        "DIRECT_KEY": PROVIDER_KEY,
        "PROXY_URL": pair.proxied.url,
        "KEY": pair.proxied.key,
        "POOR_KEY": pair.poor.key,
        "HASTY_KEY": pair.hasty.key,
        "UNKNOWN_KEY": UNKNOWN_KEY,
    }


def test_the_answers_are_the_same_to_the_byte(run: Run) -> None:
    asked = len(run.straight.answers)

    assert run.through.requests[:asked] == run.straight.requests
    assert run.through.answers[:asked] == run.straight.answers
    assert asked == len(run.answers)


def test_the_sdk_makes_the_same_of_them(run: Run) -> None:
    made = {name: answer["proxied"] for name, answer in run.answers.items()}

    assert made == {name: answer["direct"] for name, answer in run.answers.items()}
    assert all(made.values())


def test_every_call_is_booked_as_billed(run: Run) -> None:
    assert run.books == run.truth
    # One for each metered case, and the one that the hasty caller was allowed.
    assert len(run.truth.calls) == len(run.poor) + 1


def test_each_refusal_is_one_request_and_its_error_names_the_budget(run: Run) -> None:
    raised, _, _ = RAISED[run.sdk]

    assert {(each["raised"], each["status"]) for each in run.poor.values()} == {(raised, 402)}
    assert [name for name, each in run.poor.items() if "empty-purse" not in each["message"]] == []
    assert run.statuses_of_refusals().count(HTTPStatus.PAYMENT_REQUIRED) == len(run.poor)


def test_an_unknown_key_is_one_request_and_an_error_of_its_own(run: Run) -> None:
    _, raised, _ = RAISED[run.sdk]

    assert {(each["raised"], each["status"]) for each in run.unknown.values()} == {(raised, 401)}
    assert run.statuses_of_refusals().count(HTTPStatus.UNAUTHORIZED) == len(run.unknown)


def test_a_rate_is_told_apart(run: Run) -> None:
    _, _, raised = RAISED[run.sdk]

    assert (run.rate["raised"], run.rate["status"]) == (raised, 429)
    assert "one-a-minute" in run.rate["message"]
    assert run.statuses_of_refusals().count(HTTPStatus.TOO_MANY_REQUESTS) == 1


def test_the_lock_file_has_exact_versions_and_hashes_and_no_addresses() -> None:
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    locked = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    packages = {name: package for name, package in locked.items() if name}

    assert [name for name, version in wanted.items() if not re.fullmatch(r"[\d.]+", version)] == []
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert [name for name, package in packages.items() if "integrity" not in package] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []


@pytest.mark.parametrize(
    ("setting", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)]
)
def test_what_is_missing_skips_or_fails_as_told(
    monkeypatch: pytest.MonkeyPatch, setting: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv(REQUIRE_ALL, setting)

    require("here", "not reached")
    with pytest.raises(outcome, match="nowhere to be found"):
        require(None, "nowhere to be found")
