"""The dialects by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from proxy.dialects.chat_completions import ChatCompletions
from proxy.dialects.embeddings import Embeddings
from proxy.dialects.generate_content import GenerateContent
from proxy.dialects.interface import Dialect, DialectName
from proxy.dialects.messages import Messages
from proxy.dialects.responses import Responses

_ALL: Final[tuple[Dialect, ...]] = (
    ChatCompletions(),
    Responses(),
    Messages(),
    GenerateContent(),
    Embeddings(),
)

#: Dialects hold no state: one of each serves every call.
DIALECTS: Final[Mapping[DialectName, Dialect]] = MappingProxyType(
    {dialect.name: dialect for dialect in _ALL}
)
