"""The policy files: their schema, and how a folder of them becomes one rulebook.

The fields and their defaults are those of the models below; `policies/rulebook.py` says what they
mean together. Every mistake in every file is found in one go, and named with file and line.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from policies import texts
from policies.budgets import Budget, Mode, QuoteKind, Scope
from policies.lined_yaml import Lined, Mistake, Mistakes, Place, read, yaml_files
from policies.rulebook import UNATTRIBUTED, Acceptable, Rulebook, Team
from policies.schema_faults import fault_text
from policies.texts import suggestion
from policies.units import CALLS, INPUT_TOKENS, USD
from policies.windows import parse_window

#: What a budget with quote `likely` may be overrun by where it does not say.
#: What the names of budgets begin with that stand for quotas of a provider.
WALLET_PREFIX: Final = "wallet."
LIKELY_OVERRUN_DEFAULT: Final = "10%"
TOKENS_MAX: Final = 1_000_000_000


class PolicyErrors(Mistakes):
    """The policy files cannot be used; every mistake in them is named."""


# --- What a file may say ---


class Document(BaseModel):
    """A mapping with known fields and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True)


NO_VARIABLES: Final[Mapping[str, str]] = MappingProxyType({})
Section = TypeVar("Section", dict[str, Any], list[Any])
Model = TypeVar("Model", bound=BaseModel)
Name = Annotated[str, AfterValidator(texts.name)]
Text = Annotated[str, AfterValidator(texts.plain_text)]
Texts = Annotated[tuple[Text, ...], AfterValidator(texts.not_empty)]
Percent = Annotated[int, BeforeValidator(texts.percent)]
TokenCount = Annotated[int, Field(ge=1, le=TOKENS_MAX)]


def _window(text: str) -> str:
    parse_window(text, "UTC")
    return text


class Behaviour(Document):
    """How a budget behaves; each field may stand in a budget, or in `defaults` for all of them."""

    #: For calendar windows: whose midnight counts. Default UTC.
    timezone: Annotated[str, AfterValidator(texts.timezone)] = "UTC"
    #: `enforce`, `warn` (admits, and says so) or `shadow` (admits, and records only).
    mode: Mode = "enforce"
    #: Shares of the limit at which the journal notes a warning, such as `[50%, 80%]`.
    warn_at: tuple[Percent, ...] = ()
    #: A call that does not fit: `refuse` it, or `clamp` its output limit to what fits.
    when_short: Literal["refuse", "clamp"] = "refuse"
    #: A clamp never lowers the output limit below this many tokens.
    clamp_floor: TokenCount = 256
    #: A call whose price is not known: `refuse` it, or `reserve: 1 USD` for it.
    when_unpriced: Annotated[
        int | None, BeforeValidator(lambda value: texts.dollars(value, "reserve"))
    ] = None
    #: While the ledger is away: `refuse`, or `allow: 1 USD` in each worker.
    when_ledger_down: Annotated[
        int | None, BeforeValidator(lambda value: texts.dollars(value, "allow"))
    ] = None
    #: What is reserved: a true upper `bound`, or what is `likely`, by what calls came to before.
    quote: QuoteKind = "bound"
    #: With `likely`: by how much the limit may be overrun, as a share of it or an amount.
    overrun_max: Annotated[str, AfterValidator(texts.overrun)] = LIKELY_OVERRUN_DEFAULT


class Defaults(Behaviour):
    """What applies to each budget and team that does not say otherwise."""

    #: What a request without an output limit is quoted at, for all teams.
    default_max_output_tokens: TokenCount | None = None


class BudgetDocument(Behaviour):
    """One entry of `budgets`; what is left out of its scope matches everything."""

    name: Name
    team: Text | None = None
    users: Texts = ()
    #: Ids of keys, not their secrets.
    keys: Texts = ()
    #: Globs on the model as the caller names it.
    models: Texts = ()
    providers: Texts = ()
    #: `{project: apollo}` or `[project=apollo]`; a call must have all of them.
    tags: Annotated[
        dict[Text, Text],
        BeforeValidator(texts.tags),
        AfterValidator(texts.not_empty),
    ] = Field(default_factory=dict)
    #: A counter for each `user`, `key`, `model`, `session` or `tag:NAME`.
    each: Annotated[str, AfterValidator(texts.each)] | None = None
    limit: Annotated[tuple[str, int], BeforeValidator(texts.limit)]
    window: Annotated[str, AfterValidator(_window)]


class TeamDocument(Document):
    """One entry of `teams`."""

    #: Globs on the model as the caller names it. Default: all models.
    models: Texts = ("*",)
    #: The team's users. Default: whoever a key names.
    members: Texts = ()
    #: Which of `x-bursar-user`, `-session` and `-tags` the team's keys may send. Default: none.
    accept: tuple[Acceptable, ...] = ()
    #: A request whose tokens its bytes do not show: quoted at a full `context_window`, or refused.
    hidden_input: Literal["context_window", "refuse"] = "context_window"
    #: An answer that comes later is fetched by its id (`poll`), or refused.
    background: Literal["poll", "refuse"] = "poll"
    #: What a request without an output limit is quoted at. Default: the most that the model can do.
    default_max_output_tokens: TokenCount | None = None
    #: Rounds of tools that a provider is assumed to run where the request does not say.
    tool_rounds_max: Annotated[int, Field(ge=1, le=1_000)] = 10


class PolicyFile(Document):
    """One file. What several files say is put together."""

    organization: Name = "default"
    teams: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    budgets: tuple[dict[str, Any], ...] = ()
    defaults: dict[str, Any] = Field(default_factory=dict)


# --- Checking values against a schema ---


def validated(model: type[Model], lined: Lined, place: Place, data: object) -> Model | None:
    """Return the values at a place as a model; None when mistakes were noted in `lined`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            where = tuple(part for part in fault["loc"] if part != "[key]")
            known = _names(model, where[:-1]) if fault["type"] == "extra_forbidden" else []
            lined.add((*place, *where), fault_text(fault, known))
        return None


def _names(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """Return the fields of the model at a place below this one."""
    kind: Any = model
    for part in place:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found = {field.alias or name: field for name, field in kind.model_fields.items()}
            kind = found[str(part)].annotation
        else:
            kind = typing.get_args(kind)[0 if isinstance(part, int) else -1]
    return [field.alias or name for name, field in kind.model_fields.items()]


# --- From files to a rulebook ---


def load(paths: Sequence[Path], environ: Mapping[str, str] = NO_VARIABLES) -> Rulebook:
    """Return what the files and the folders of `*.yaml` say together.

    Raises:
        PolicyErrors: they cannot be used; all mistakes in all files are named.
    """
    files, mistakes = yaml_files(paths)
    documents = [read(file, environ) for file in files]
    rulebook = _merged(documents)
    for lined in documents:
        mistakes += sorted(lined.mistakes, key=lambda mistake: mistake.line)
    if mistakes:
        raise PolicyErrors(mistakes)
    return rulebook


def rulebook_of(document: object, source: str) -> Rulebook:
    """Return what a document in the form of one policy file means.

    Args:
        document: values as JSON has them.
        source: what mistakes name as their file.

    Raises:
        PolicyErrors: it cannot be used.
    """
    if not isinstance(document, dict):
        raise PolicyErrors([Mistake(source, 1, "", "is not a mapping: it is no policy file")])
    lined = Lined(file=source, data=document)
    rulebook = _merged([lined])
    if lined.mistakes:
        raise PolicyErrors(lined.mistakes)
    return rulebook


def _merged(documents: Sequence[Lined]) -> Rulebook:
    """Return what the documents say together, as far as it can be told; mistakes go into them."""
    for lined in documents:
        if not lined.data and not lined.mistakes:
            lined.add((), "says nothing: write organization, teams or budgets, or remove the file")
        validated(PolicyFile, lined, (), lined.data)
    defaults = _defaults(documents)
    teams = _teams(documents, defaults)
    return Rulebook(
        organization=_organization(documents),
        teams={name: team for name, team in teams.items() if team is not None},
        budgets=_budgets(documents, defaults, teams),
    )


def _organization(documents: Sequence[Lined]) -> str:
    name, first = "default", None
    for lined in documents:
        own = lined.data.get("organization")
        if not isinstance(own, str):
            continue
        if first is None:
            name, first = own, lined.where(("organization",))
        elif own != name:
            lined.add(("organization",), f"'{own}' differs from '{name}' in {first}: use one name")
    return name


def _defaults(documents: Sequence[Lined]) -> Defaults:
    chosen: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for lined in documents:
        own = validated(Defaults, lined, ("defaults",), _section(lined, "defaults", {}))
        if own is None:
            continue
        for name, value in own.model_dump(exclude_unset=True).items():
            if name in origins:
                lined.add(("defaults", name), f"is also set in {origins[name]}: keep one")
            chosen[name] = value
            origins[name] = lined.where(("defaults", name))
        if "overrun_max" in chosen and not str(chosen["overrun_max"]).endswith("%"):
            lined.add(
                ("defaults", "overrun_max"),
                "must be a share of the limit, such as 10%: budgets differ in their units",
            )
    return Defaults.model_construct(**chosen)


def _teams(documents: Sequence[Lined], defaults: Defaults) -> dict[str, Team | None]:
    """Return the teams by name; None for one with mistakes."""
    teams: dict[str, Team | None] = {}
    origins: dict[str, str] = {}
    for lined in documents:
        for name, body in _section(lined, "teams", {}).items():
            place: Place = ("teams", name)
            if name in origins:
                lined.add(place, f"is also a team in {origins[name]}: rename one, or merge them")
            origins[name] = lined.where(place)
            document = validated(TeamDocument, lined, place, body)
            teams[name] = None if document is None else _team(name, document, defaults)
    return teams


def _team(name: str, document: TeamDocument, defaults: Defaults) -> Team:
    return Team(
        name=name,
        models=document.models,
        members=frozenset(document.members),
        accept=frozenset(document.accept),
        hidden_input=document.hidden_input,
        background=document.background,
        default_max_output_tokens=document.default_max_output_tokens
        or defaults.default_max_output_tokens,
        tool_rounds_max=document.tool_rounds_max,
    )


def _budgets(
    documents: Sequence[Lined], defaults: Defaults, teams: Mapping[str, Team | None]
) -> dict[str, Budget]:
    budgets: dict[str, Budget] = {}
    origins: dict[str, str] = {}
    for lined in documents:
        for index, body in enumerate(_section(lined, "budgets", [])):
            if not isinstance(body, dict):
                continue  # Noted when the file as a whole was checked.
            place: Place = ("budgets", index)
            name = str(body.get("name"))
            if name in origins:
                lined.add(
                    (*place, "name"), f"'{name}' is also a budget in {origins[name]}: rename one"
                )
            if "name" in body:
                origins[name] = lined.where((*place, "name"))
            document = validated(BudgetDocument, lined, place, body)
            if document is not None:
                complete = all(each.readable for each in documents)
                _check_team(lined, place, document, teams if complete else None)
                _check_name(lined, place, document)
                budgets[name] = _budget(lined, place, document, defaults)
    return budgets


def _check_name(lined: Lined, place: Place, document: BudgetDocument) -> None:
    """Check that a budget is not taken for something else."""
    if document.name.startswith(WALLET_PREFIX):
        said = f"names that begin with '{WALLET_PREFIX}' are those of providers' quotas: rename it"
        lined.add((*place, "name"), said)
    if document.name == UNATTRIBUTED and (document.each is not None or document.team is not None):
        said = "counts what no call explains, so it belongs to no team and has no `each`: remove it"
        lined.add((*place, "each" if document.each is not None else "team"), said)


def _check_team(
    lined: Lined, place: Place, document: BudgetDocument, teams: Mapping[str, Team | None] | None
) -> None:
    """Check that the budget's team exists, and its users; None: not all teams could be read."""
    if document.team is None or teams is None:
        return
    if document.team not in teams:
        hint = suggestion(document.team, teams)
        lined.add((*place, "team"), f"'{document.team}' is not a team: {hint}")
        return
    team = teams[document.team]
    for index, user in enumerate(document.users):
        if team is not None and not team.has_member(user):
            hint = suggestion(user, team.members)
            lined.add((*place, "users", index), f"'{user}' is not in team '{team.name}': {hint}")


def _budget(lined: Lined, place: Place, document: BudgetDocument, defaults: Defaults) -> Budget:
    """Return the budget with the defaults that make sense for it; mistakes go into `lined`."""
    own = document.model_fields_set
    unit, limit = document.limit
    given = {name: getattr(defaults, name) for name in defaults.model_fields_set}
    chosen = Behaviour.model_construct(
        **{name: getattr(document, name) for name in Behaviour.model_fields}
        | {name: value for name, value in given.items() if name not in own}
    )
    clamps = unit not in (CALLS, INPUT_TOKENS)
    if "when_short" in own and document.when_short == "clamp" and not clamps:
        lined.add((*place, "when_short"), f"a lower output limit saves no {unit}: use refuse")
    if "when_unpriced" in own and document.when_unpriced is not None and unit != USD:
        lined.add(
            (*place, "when_unpriced"), f"concerns budgets in USD, this one counts {unit}: remove it"
        )
    overrun_max = 0
    if chosen.quote == "likely":
        try:
            overrun_max = texts.overrun_amount(chosen.overrun_max, unit, limit)
        except ValueError as error:
            lined.add((*place, "overrun_max"), str(error))
    elif "overrun_max" in own:
        lined.add((*place, "overrun_max"), "concerns quote: likely alone: remove it, or set that")
    return Budget(
        name=document.name,
        scope=Scope(
            team=document.team,
            users=frozenset(document.users),
            key_ids=frozenset(document.keys),
            models=document.models,
            providers=frozenset(document.providers),
            tags=tuple(sorted(document.tags.items())),
        ),
        each=document.each,
        unit=unit,
        limit=limit,
        window=parse_window(document.window, chosen.timezone),
        mode=chosen.mode,
        warn_at_percent=tuple(sorted(set(chosen.warn_at))),
        when_short=chosen.when_short if clamps else "refuse",
        clamp_floor=chosen.clamp_floor,
        when_unpriced_nano_usd=chosen.when_unpriced if unit == USD else None,
        when_ledger_down_nano_usd=chosen.when_ledger_down,
        quote=chosen.quote,
        overrun_max=overrun_max,
    )


def _section(lined: Lined, name: str, empty: Section) -> Section:
    """Return a section of a file; an empty one where it has the wrong form, which was noted."""
    section = lined.data.get(name, empty)
    return section if isinstance(section, type(empty)) else empty
