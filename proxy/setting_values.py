"""The forms that values of the configuration have, and the types they become."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from policies import texts
from policies.ledger.address import Deployment, parse_url

ARCHIVE_SCHEMES: Final = ("postgresql", "postgres", "sqlite")


def _ledger_url(text: str) -> str:
    """Return an address that the ledger understands; it may hold secrets and is in no message."""
    try:
        deployment = parse_url(text.strip())
    except ValueError:
        deployment = Deployment(kind="none", addresses=())
    if deployment.addresses and all(each.host or each.path for each in deployment.addresses):
        return text.strip()
    raise ValueError(
        "is not a ledger's address: use redis://host, rediss://host, unix:///path, "
        "redis+sentinel://host,host/service or redis+cluster://host,host"
    )


Duration = Annotated[int, BeforeValidator(texts.duration_ms), Field(ge=1)]
Size = Annotated[int, BeforeValidator(texts.size), Field(ge=1)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Status = Annotated[int, Field(ge=400, le=499)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Secret = Annotated[str, AfterValidator(texts.secret), Field(repr=False)]
LedgerUrl = Annotated[str, AfterValidator(_ledger_url)]
ArchiveUrl = Annotated[str, AfterValidator(lambda text: texts.address(text, ARCHIVE_SCHEMES))]
#: Of whatever a setting is a share of.
Percent = Annotated[int, BeforeValidator(texts.percent)]
#: The same, and it may be nothing.
Share = Annotated[int, BeforeValidator(texts.share), Field(ge=0, le=100)]
Dollars = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
