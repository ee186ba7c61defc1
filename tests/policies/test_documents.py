"""Policy files: what a right one means, and what is said about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.budgets import Budget, Scope
from policies.documents import PolicyErrors, load, rulebook_of
from policies.rulebook import Rulebook, Team
from policies.windows import Calendar, FirstUse, Lifetime, Rolling

WRONG = sorted((Path(__file__).parent / "documents").glob("*.yaml"))

CONTRACT = """\
organization: acme
teams:
  research: {models: ["*"], members: [alice, bob]}
  support:  {models: ["*mini*"]}
budgets:
  - {name: company,        limit: 5000 USD, window: month, timezone: Europe/Berlin}
  - {name: research,       team: research, limit: 500 USD, window: month, warn_at: [50%, 80%]}
  - {name: research-each,  team: research, each: user, limit: 20 USD, window: day}
  - {name: opus-tokens,    models: ["*opus*"], limit: 2M tokens, window: rolling 5h}
  - {name: support-calls,  team: support, each: key, limit: 100 calls, window: rolling 1m}
  - {name: trial,          team: support, limit: 50 USD, window: lifetime, mode: shadow}
"""


def load_text(folder: Path, *texts: str) -> Rulebook:
    """Return the rulebook of files named 0.yaml, 1.yaml and so on."""
    for index, text in enumerate(texts):
        (folder / f"{index}.yaml").write_text(text, encoding="utf-8")
    return load([folder])


def mistakes(folder: Path, *texts: str) -> list[str]:
    with pytest.raises(PolicyErrors) as caught:
        load_text(folder, *texts)
    return [str(mistake).removeprefix(f"{folder}/") for mistake in caught.value.mistakes]


def one_budget(folder: Path, fields: str, before: str = "") -> Budget:
    rulebook = load_text(folder, f"{before}\nbudgets: [{{name: b, {fields}}}]")
    return rulebook.budgets["b"]


@pytest.mark.parametrize("file", WRONG, ids=lambda file: file.stem)
def test_a_mistake_is_one_line_with_its_place_and_what_to_do(file: Path) -> None:
    expected = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# expect ")

    with pytest.raises(PolicyErrors) as caught:
        load([file])

    assert str(caught.value) == f"{file}:{expected.replace('{file}', str(file))}"


def test_the_example_of_the_contract_means_what_it_says(tmp_path: Path) -> None:
    rulebook = load_text(tmp_path, CONTRACT)

    assert rulebook.organization == "acme"
    assert rulebook.teams["research"] == Team(
        name="research", models=("*",), members=frozenset({"alice", "bob"})
    )
    assert rulebook.teams["support"] == Team(name="support", models=("*mini*",))
    assert list(rulebook.budgets) == [
        "company", "research", "research-each", "opus-tokens", "support-calls", "trial",
    ]  # fmt: skip
    assert rulebook.budgets["company"] == Budget(
        name="company",
        unit="USD",
        limit=5_000_000_000_000,
        window=Calendar("month", "Europe/Berlin"),
    )
    assert rulebook.budgets["research"].warn_at_percent == (50, 80)
    assert rulebook.budgets["research-each"].each == "user"
    assert rulebook.budgets["opus-tokens"] == Budget(
        name="opus-tokens",
        scope=Scope(models=("*opus*",)),
        unit="tokens",
        limit=2_000_000,
        window=Rolling(18_000_000),
    )
    assert rulebook.budgets["support-calls"].window == Rolling(60_000)
    assert rulebook.budgets["trial"].window == Lifetime()
    assert rulebook.budgets["trial"].mode == "shadow"


def test_every_field_of_a_budget_is_taken_over(tmp_path: Path) -> None:
    text = """\
teams: {research: {members: [alice, bob]}}
budgets:
  - name: everything
    team: research
    users: [alice, bob]
    keys: [key_1]
    models: ["gpt-*"]
    providers: [venice]
    tags: {project: apollo, stage: prod}
    each: tag:run
    limit: 10 USD
    window: first-use 5h
    mode: warn
    warn_at: [90%, 50%, 90%]
    when_short: clamp
    clamp_floor: 64
    when_unpriced: "reserve: 1 USD"
    when_ledger_down: {allow: 0.50 USD}
    quote: likely
    overrun_max: 2 USD
"""

    budget = load_text(tmp_path, text).budgets["everything"]

    assert budget == Budget(
        name="everything",
        scope=Scope(
            team="research",
            users=frozenset({"alice", "bob"}),
            key_ids=frozenset({"key_1"}),
            models=("gpt-*",),
            providers=frozenset({"venice"}),
            tags=(("project", "apollo"), ("stage", "prod")),
        ),
        each="tag:run",
        unit="USD",
        limit=10_000_000_000,
        window=FirstUse(18_000_000),
        mode="warn",
        warn_at_percent=(50, 90),
        when_short="clamp",
        clamp_floor=64,
        when_unpriced_nano_usd=1_000_000_000,
        when_ledger_down_nano_usd=500_000_000,
        quote="likely",
        overrun_max=2_000_000_000,
    )


def test_every_field_of_a_team_is_taken_over(tmp_path: Path) -> None:
    text = """\
teams:
  research:
    accept: [user, session, tags]
    hidden_input: refuse
    background: refuse
    default_max_output_tokens: 4096
    tool_rounds_max: 3
"""

    assert load_text(tmp_path, text).teams["research"] == Team(
        name="research",
        accept=frozenset({"user", "session", "tags"}),
        hidden_input="refuse",
        background="refuse",
        default_max_output_tokens=4096,
        tool_rounds_max=3,
    )


def test_tags_may_be_written_as_in_the_header(tmp_path: Path) -> None:
    budget = one_budget(tmp_path, "tags: [b=2, a=1], limit: 0 USD, window: day")

    assert budget.scope.tags == (("a", "1"), ("b", "2"))


def test_texts_are_what_is_written_and_never_what_yaml_makes_of_them(tmp_path: Path) -> None:
    text = """\
organization: on
teams:
  no: {members: [yes, 2026-01-01, 0x10, 1e3, 1_000]}
budgets:
  - {name: 1.10, team: no, users: [yes, 2026-01-01, 1e3], limit: 100 calls, window: day}
"""

    rulebook = load_text(tmp_path, text)

    assert rulebook.organization == "on"
    assert rulebook.teams["no"].members == {"yes", "2026-01-01", "0x10", "1e3", "1_000"}
    assert rulebook.budgets["1.10"].limit == 100


def test_a_limit_of_zero_is_a_budget(tmp_path: Path) -> None:
    assert one_budget(tmp_path, "limit: 0 calls, window: day").limit == 0


def test_the_largest_limit_is_the_largest_exact_one(tmp_path: Path) -> None:
    assert one_budget(tmp_path, "limit: 9007199.254740991 USD, window: day").limit == 2**53 - 1


def test_a_likely_quote_may_overrun_by_a_tenth_unless_the_budget_says_otherwise(
    tmp_path: Path,
) -> None:
    by_default = one_budget(tmp_path, "limit: 50 calls, window: day, quote: likely")
    none = one_budget(tmp_path, "limit: 50 calls, window: day, quote: likely, overrun_max: 0%")

    assert by_default.overrun_max == 5
    assert none.overrun_max == 0


def test_defaults_apply_where_a_budget_says_nothing_and_where_they_make_sense(
    tmp_path: Path,
) -> None:
    text = """\
defaults:
  timezone: Asia/Tokyo
  mode: shadow
  when_short: clamp
  when_unpriced: {reserve: 1 USD}
  when_ledger_down: {allow: 2 USD}
  quote: likely
  overrun_max: 20%
  default_max_output_tokens: 500
teams:
  a: {}
  b: {default_max_output_tokens: 100}
budgets:
  - {name: money, limit: 10 USD, window: day}
  - {name: calls, limit: 10 calls, window: day}
  - name: own
    limit: 10 USD
    window: day
    timezone: UTC
    mode: enforce
    when_short: refuse
    when_unpriced: refuse
    when_ledger_down: refuse
    quote: bound
"""

    rulebook = load_text(tmp_path, text)

    assert rulebook.budgets["money"] == Budget(
        name="money",
        unit="USD",
        limit=10_000_000_000,
        window=Calendar("day", "Asia/Tokyo"),
        mode="shadow",
        when_short="clamp",
        when_unpriced_nano_usd=1_000_000_000,
        when_ledger_down_nano_usd=2_000_000_000,
        quote="likely",
        overrun_max=2_000_000_000,
    )
    assert rulebook.budgets["calls"].when_short == "refuse"
    assert rulebook.budgets["calls"].when_unpriced_nano_usd is None
    assert rulebook.budgets["own"] == Budget(
        name="own", unit="USD", limit=10_000_000_000, window=Calendar("day", "UTC")
    )
    assert rulebook.teams["a"].default_max_output_tokens == 500
    assert rulebook.teams["b"].default_max_output_tokens == 100


def test_all_mistakes_of_all_files_are_named_at_once(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        "teams: {a: {modls: []}}\nbudgets:\n- {name: b, limit: 5, window: 5h, users: x}\n- 7",
        "organization: [acme]\ndefaults: {mode: on}",
    )

    assert [line.split(": ")[:2] for line in found] == [
        ["0.yaml:1", "teams.a.modls"],
        ["0.yaml:3", "budgets[0].users"],
        ["0.yaml:3", "budgets[0].limit"],
        ["0.yaml:3", "budgets[0].window"],
        ["0.yaml:4", "budgets[1]"],
        ["1.yaml:1", "organization"],
        ["1.yaml:2", "defaults.mode"],
    ]


def test_a_file_that_cannot_be_read_makes_no_teams_unknown(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path, "teams: {a: {", "budgets: [{name: b, team: a, limit: 5 USD, window: day}]"
    )

    assert len(found) == 1
    assert found[0].startswith("0.yaml:1: is not valid YAML")


def test_the_users_of_a_team_with_mistakes_are_not_checked(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        "teams: {a: {members: x}}\n"
        "budgets: [{name: b, team: a, users: [c], limit: 5 USD, window: day}]",
    )

    assert found == [
        "0.yaml:1: teams.a.members: must be a list: put it in brackets, such as [a, b]"
    ]


def test_files_add_up_and_their_order_is_that_of_their_names(tmp_path: Path) -> None:
    rulebook = load_text(
        tmp_path,
        "organization: acme\nbudgets: [{name: z, team: b, limit: 1 USD, window: day}]",
        "organization: acme\nbudgets: [{name: a, limit: 1 USD, window: day}]\nteams: {b: {}}",
        "defaults: {mode: shadow}\nteams: {c: {}}",
    )

    assert list(rulebook.budgets) == ["z", "a"]
    assert sorted(rulebook.teams) == ["b", "c"]
    assert rulebook.budgets["z"].mode == "shadow"


def test_what_two_files_both_claim_is_named_with_both_places(tmp_path: Path) -> None:
    text = (
        "organization: {0}\nteams: {{a: {{}}}}\n"
        "budgets:\n- {{name: b, limit: 1 USD, window: day}}\n"
    )
    defaults = "defaults: {mode: warn}\n"

    found = mistakes(tmp_path, text.format("acme") + defaults, text.format("other") + defaults)

    first = tmp_path / "0.yaml"
    assert found == [
        f"1.yaml:1: organization: 'other' differs from 'acme' in {first}:1: use one name",
        f"1.yaml:2: teams.a: is also a team in {first}:2: rename one, or merge them",
        f"1.yaml:4: budgets[0].name: 'b' is also a budget in {first}:4: rename one",
        f"1.yaml:5: defaults.mode: is also set in {first}:5: keep one",
    ]


def test_a_budget_with_mistakes_still_claims_its_name(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        "budgets:\n- {name: b, limit: 1, window: day}\n- {name: b, limit: 1 USD, window: day}",
    )

    assert len(found) == 2


def test_values_may_come_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(
        "budgets: [{name: b, limit: '${LIMIT} USD', window: '${WINDOW:-day}'}]", encoding="utf-8"
    )

    budget = load([file], {"LIMIT": "25"}).budgets["b"]

    assert (budget.limit, budget.window) == (25_000_000_000, Calendar("day"))


def test_a_path_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PolicyErrors, match=r"no_such\.yaml:1: does not exist: create it"):
        load([tmp_path / "no_such.yaml"])


def test_no_paths_make_an_empty_rulebook() -> None:
    assert load([]) == Rulebook()


def test_values_that_were_read_elsewhere_mean_the_same_as_a_file(tmp_path: Path) -> None:
    values = {"organization": "acme", "budgets": [{"name": "b", "limit": "1 USD", "window": "day"}]}

    text = "organization: acme\nbudgets: [{name: b, limit: 1 USD, window: day}]"
    assert rulebook_of(values, "elsewhere") == load_text(tmp_path, text)
    with pytest.raises(PolicyErrors, match=r"elsewhere:1: budgets\[0\]\.limit"):
        rulebook_of({"budgets": [{"name": "b", "limit": "much", "window": "day"}]}, "elsewhere")
