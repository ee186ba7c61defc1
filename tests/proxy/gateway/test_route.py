"""Routes: the first that matches wins, a path may name its provider, and who may use what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.budgets import Budget, Caller, Scope
from policies.rulebook import Rulebook, Team
from policies.units import USD
from policies.windows import Lifetime
from proxy.dialects.endpoints import Endpoint
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Refusal, Routed
from proxy.gateway.route import Route, Router
from proxy.providers.interface import Provider
from tests.doubles.calls import CHAT, arrival, endpoint
from tests.doubles.fake_provider import FakeProvider

FAKE, OTHER = FakeProvider("fake"), FakeProvider("other", base_url="http://other.test")
BOTH: dict[str, Provider] = {"fake": FAKE, "other": OTHER}
RULES = Rulebook(teams={"red": Team(name="red", models=("acme/*", "google/*"))})
GEMINI = "/v1beta/models/gemini-pro:generateContent"


def refusal(found: object) -> Refusal:
    assert isinstance(found, Refusal), found
    return found


def provider_of(router: Router, model: str | None, path: str = CHAT) -> str | None:
    method = "GET" if path.endswith("/models") else "POST"
    found = router.find(endpoint(path, method), model)
    return None if isinstance(found, Refusal) else found[0].name


@pytest.mark.parametrize(
    ("model", "path", "provider"),
    [
        ("venice/large", CHAT, "other"),
        ("acme/mini", CHAT, "fake"),
        ("acme/mini", "/v1/messages", "other"),
        ("venice/large", "/fake/v1/chat/completions", "fake"),
        (None, "/v1/models", "fake"),
        ("strange", "/v1/responses", None),
    ],
)
def test_the_first_route_that_matches_wins_unless_the_path_names_a_provider(
    model: str | None, path: str, provider: str | None
) -> None:
    router = Router(
        BOTH,
        [
            Route(provider="other", models=("venice/*", "*/other")),
            Route(provider="other", dialects=frozenset({"messages"})),
            Route(provider="fake", dialects=frozenset({"chat_completions"})),
        ],
    )

    assert provider_of(router, model, path) == provider


def test_a_call_without_a_model_takes_no_route_for_certain_models() -> None:
    router = Router(BOTH, [Route(provider="other", models=("*",)), Route(provider="fake")])

    assert provider_of(router, None, "/v1/models") == "fake"


def test_the_only_provider_takes_everything_without_a_route() -> None:
    assert provider_of(Router({"fake": FAKE}, []), "anything") == "fake"
    assert provider_of(Router({"fake": FAKE}, []), None, "/v1/models") == "fake"


def test_of_several_providers_none_is_taken_without_a_route() -> None:
    found = refusal(Router(BOTH, []).find(endpoint(), "acme/mini"))

    assert (found.status, found.kind) == (404, ErrorKind.NOT_FOUND)
    assert "model 'acme/mini'" in found.message
    assert "/fake/v1/…" in found.message


def test_without_any_provider_the_hint_names_none() -> None:
    found = refusal(Router({}, []).find(endpoint("/v1/models", "GET"), None))

    assert "a call without a model" in found.message
    assert "/provider/v1/…" in found.message


def test_a_route_to_a_provider_that_is_gone_leads_nowhere() -> None:
    refusal(Router({"fake": FAKE}, [Route(provider="gone")]).find(endpoint(), "acme/mini"))


def test_a_provider_that_does_not_speak_the_dialect_says_so() -> None:
    silent = FakeProvider("fake", lacks=frozenset({"chat_completions"}))

    found = refusal(Router({"fake": silent}, []).find(endpoint(), "acme/mini"))

    assert found.message == "provider 'fake' (kind openai) does not speak chat_completions"


def test_an_answer_is_fetched_from_the_provider_that_has_it() -> None:
    router, at = Router(BOTH, []), endpoint("/v1/responses/resp_1", "GET")

    found = router.by_name("other", at)

    assert not isinstance(found, Refusal)
    assert (found[0].name, str(found[1].url)) == ("other", "http://other.test/resp_1")
    assert "not configured any more" in refusal(router.by_name("gone", at)).message
    silent = FakeProvider("mute", lacks=frozenset({"responses"}))
    assert (
        "not configured any more"
        in refusal(Router({"mute": silent}, []).by_name("mute", at)).message
    )


# Rules…


def route(path: str = CHAT, *, rules: Rulebook = RULES, kind: str = "openai") -> Routed | Refusal:
    came = arrival(path, body=b'{"contents":[]}' if "models" in path else None)
    return Router({"fake": FakeProvider(kind=kind)}, []).route(came, rules)


def test_a_call_is_routed_with_its_rules() -> None:
    budget = Budget(name="all", unit=USD, limit=1, window=Lifetime(), each="model")
    rules = replace(RULES, budgets={"all": budget})

    found = route(rules=rules)

    assert isinstance(found, Routed)
    assert found.rules.budgets == ((budget, "acme/mini"),)
    assert found.target.method == "POST"


@pytest.mark.parametrize(
    ("kind", "model"), [("google", "gemini-pro"), ("agipower", "google/gemini-pro")]
)
def test_a_model_in_the_path_has_the_name_that_its_provider_knows_it_by(
    kind: str, model: str
) -> None:
    rules = Rulebook(
        teams={"red": Team(name="red")},
        budgets={
            "g": Budget(
                name="g", unit=USD, limit=1, window=Lifetime(), scope=Scope(models=("google/*",))
            )
        },
    )

    found = route(GEMINI, rules=rules, kind=kind)

    assert isinstance(found, Routed)
    assert found.arrival.parsed.model == found.arrival.parsed.demand.model == model
    assert len(found.rules.budgets) == (1 if kind == "agipower" else 0)


@pytest.mark.parametrize(
    ("path", "status"),
    [(CHAT, 403), ("/v1/responses", 400), ("/v1/messages", 400), (GEMINI, 403)],
)
def test_a_model_that_is_not_allowed_gets_the_status_that_stops_its_sdk(
    path: str, status: int
) -> None:
    rules = Rulebook(teams={"red": Team(name="red", models=("none/*",))})
    came = arrival(path, body=b'{"contents":[]}' if "models" in path else None)

    found = refusal(Router({"fake": FAKE}, []).route(came, rules))

    assert (found.status, found.kind) == (status, ErrorKind.MODEL_NOT_ALLOWED)
    assert "may not use model" in found.message


def test_a_team_without_a_policy_may_use_nothing() -> None:
    assert "in no policy file" in refusal(route(rules=Rulebook())).message


def test_a_user_who_is_no_member_is_told_so() -> None:
    rules = Rulebook(teams={"red": Team(name="red", members=frozenset({"alice"}))})
    came = arrival(caller=Caller(key_id="key_1", team="red", user="bob"))

    found = refusal(Router({"fake": FAKE}, []).route(came, rules))

    assert "user 'bob' is no member of team 'red'" in found.message


def test_a_call_that_leads_nowhere_is_refused_before_any_rule() -> None:
    found = refusal(Router(BOTH, []).route(arrival(), Rulebook()))

    assert found.kind is ErrorKind.NOT_FOUND


def test_an_endpoint_is_what_the_path_says() -> None:
    at = endpoint("/other/v1/chat/completions")

    assert isinstance(at, Endpoint)
    assert provider_of(Router(BOTH, []), "acme/mini", "/other/v1/chat/completions") == "other"
