"""What pydantic finds, in plain words."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from policies.schema_faults import fault_text


class Example(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Field(ge=1, le=5)] = 1
    share: float = 0.5
    on: bool = False
    kind: Literal["big", "small"] = "big"
    names: tuple[str, ...] = ()
    limits: dict[str, str] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"count": "x"}, "'x' is not a number: write digits, such as 100"),
        ({"count": []}, "this is not a number: write digits, such as 100"),
        ({"count": "0"}, "'0' is too small: the least is 1"),
        ({"count": "6"}, "'6' is too large: the most is 5"),
        ({"share": "x"}, "'x' does not fit: should be a valid number"),
        ({"on": "maybe"}, "'maybe' is neither true nor false"),
        ({"kind": "bigg"}, "'bigg' is not known: use 'big' or 'small'; did you mean 'big'?"),
        ({"kind": "x"}, "'x' is not known: use 'big' or 'small'"),
        ({"kind": {}}, "this is not known: use 'big' or 'small'"),
        ({"names": "x"}, "must be a list: put it in brackets, such as [a, b]"),
        ({"names": [["{error}"]]}, "must be a single text"),
        ({"limits": "x"}, "must be a mapping: write 'name: value' lines below it"),
        ({"cuont": "1"}, "is not a field here: did you mean 'count'?"),
    ],
)
def test_a_fault_is_said_in_words_for_people_who_write_yaml(
    data: dict[str, object], expected: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(data)

    (fault,) = caught.value.errors()

    assert fault_text(fault, list(Example.model_fields)).startswith(expected)


def test_what_people_wrote_is_never_taken_for_a_template() -> None:
    with pytest.raises(ValidationError) as caught:
        Example.model_validate({"count": "{ge}"})

    assert fault_text(caught.value.errors()[0], []).startswith("'{ge}' is not a number")
