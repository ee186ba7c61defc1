"""The recordings: answers as providers send them, each with the truth about it beside it.

`NAME.sse` and `NAME.json` are answers, written for this project after the documents;
`NAME.truth.json` says what they used, in disjoint parts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from policies.usage import AtLeast, Exact, Metered, ReportedCost, Unknown, Usage, UsageLine
from proxy.dialects.interface import Meter, Reading
from proxy.dialects.registry import DIALECTS

_FOLDER: Final = Path(__file__).parent
_TRUTH: Final = ".truth.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One answer and the truth about it."""

    name: str
    answer: bytes
    truth: dict[str, Any]

    def meter(self, *, strip_usage: bool = False) -> Meter:
        """Return the meter that the answer gets."""
        return DIALECTS[self.truth["dialect"]].meter(
            streamed=self.truth["streamed"],
            content_type=self.truth["content_type"],
            strip_usage=strip_usage,
        )

    def reading(self) -> Reading:
        """Return what a meter has to say about it."""
        truth = self.truth
        cost = truth.get("cost")
        return Reading(
            metered=self._metered(),
            model=truth.get("model"),
            service_tier=truth.get("service_tier"),
            generation_ids=tuple(truth.get("generation_ids", ())),
            finish=truth.get("finish"),
            error=truth.get("error"),
            error_code=truth.get("error_code"),
            tool_calls=tuple((kind, number) for kind, number in truth.get("tool_calls", ())),
            produced_output=truth.get("produced_output", False),
            cost=ReportedCost(amounts=cost) if cost else None,
            status=truth.get("status"),
        )

    def _metered(self) -> Metered:
        lines = tuple(
            UsageLine(
                model=line.get("model"),
                usage=Usage(**{name: count for name, count in line.items() if name != "model"}),
            )
            for line in self.truth["lines"]
        )
        match self.truth["metered"]:
            case "exact":
                return Exact(lines)
            case "at_least":
                return AtLeast(lines)
            case _:
                return Unknown()


def _read(path: Path) -> Recording:
    name = path.name.removesuffix(_TRUTH)
    (answer,) = (other for other in _FOLDER.glob(f"{name}.*") if other != path)
    return Recording(name=name, answer=answer.read_bytes(), truth=json.loads(path.read_text()))


RECORDINGS: Final = tuple(_read(path) for path in sorted(_FOLDER.glob(f"*{_TRUTH}")))
BY_NAME: Final = {recording.name: recording for recording in RECORDINGS}
