"""What pydantic finds wrong, in words for people who write YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from policies.texts import nearest, suggestion

_NOT_A_NUMBER: Final = "{written} is not a number: write digits, such as 100"
_NOT_A_TEXT: Final = "must be a single text"
_NOT_A_LIST: Final = "must be a list: put it in brackets, such as [a, b]"
_NOT_A_MAPPING: Final = "must be a mapping: write 'name: value' lines below it"
#: By pydantic's name for the fault; the parts in braces are the value, and pydantic's own words.
_SAID: Final = {
    "bool_parsing": "{written} is neither true nor false",
    "decimal_parsing": _NOT_A_NUMBER,
    "dict_type": _NOT_A_MAPPING,
    "greater_than_equal": "{written} is too small: the least is {ge}",
    "int_from_float": _NOT_A_NUMBER,
    "int_parsing": _NOT_A_NUMBER,
    "int_type": _NOT_A_NUMBER,
    "less_than_equal": "{written} is too large: the most is {le}",
    "missing": "is missing: add it",
    "model_type": _NOT_A_MAPPING,
    "path_type": _NOT_A_TEXT,
    "string_type": _NOT_A_TEXT,
    "too_short": "is empty: write a value, or remove it",
    "tuple_type": _NOT_A_LIST,
    "value_error": "{error}",
}


def fault_text(fault: Mapping[str, Any], known: Sequence[str]) -> str:
    """Return what is wrong with a value and what to do; `known` are the fields it could be."""
    said = fault["input"]
    written = f"'{said}'" if isinstance(said, str) else "this"
    if fault["type"] == "extra_forbidden":
        return f"is not a field here: {suggestion(str(fault['loc'][-1]), known)}"
    if fault["type"] == "literal_error":
        expected = str(fault["ctx"]["expected"])
        near = nearest(str(said), re.findall(r"'([^']*)'", expected))
        return f"{written} is not known: use {expected}; {near}".rstrip("; ")
    if fault["type"] in _SAID:
        return _SAID[fault["type"]].format(written=written, **fault.get("ctx", {}))
    return f"{written} does not fit: {str(fault['msg']).removeprefix('Input ')}"
