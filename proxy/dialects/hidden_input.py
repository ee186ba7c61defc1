"""Input whose tokens a request's bytes do not show: media, files, and what the provider keeps.

What is shown is a list, and everything else is hidden: a kind of input that was invented after this
file was written is hidden, too.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from proxy.dialects.counts import decoded, opens_with
from proxy.dialects.json_text import found, written

# Strings that are looked through; a body of more has more tokens than any context window, so that
# it is quoted as if it hid some. Looking takes 20 ns for each, and the event loop waits meanwhile.
QUOTES_MAX: Final = 1024 * 1024
# Counted a piece at a time, so that nothing long is copied.
_PIECE_BYTES: Final = 256 * 1024

# Anything whose text, tool call or result stands in the body as it is; the words of JSON schemas
# and of citations as well, which have the same key.
_SHOWN: Final = frozenset(
    {
        *("text", "input_text", "output_text", "refusal", "message", "ephemeral", "summary_text"),
        *("reasoning", "reasoning_text", "reasoning.text", "reasoning.summary"),
        *("reasoning.encrypted", "thinking", "redacted_thinking", "compaction"),
        *(
            "function",
            "function_call",
            "function_call_output",
            "custom",
            "grammar",
            "custom_tool_call",
        ),
        *("custom_tool_call_output", "local_shell_call", "local_shell_call_output", "exec"),
        *("shell_call", "shell_call_output", "exit", "timeout", "apply_patch_call"),
        *("apply_patch_call_output", "create_file", "update_file", "delete_file"),
        *("web_search_call", "search", "open_page", "find_in_page", "file_search_call"),
        *("code_interpreter_call", "logs", "mcp_call", "mcp_list_tools", "mcp_approval_request"),
        *("mcp_approval_response", "tool_search_call", "tool_search_output", "namespace"),
        *("tool_use", "tool_result", "server_tool_use", "mcp_tool_use", "mcp_tool_result"),
        *("tool_reference", "direct", "search_result", "web_search_result", "advisor_tool_result"),
        *("web_search_tool_result", "web_search_tool_result_error", "web_fetch_tool_result"),
        *("web_fetch_result", "web_fetch_tool_result_error", "code_execution_tool_result"),
        *("code_execution_result", "code_execution_tool_result_error", "code_execution_output"),
        *("bash_code_execution_tool_result", "bash_code_execution_result"),
        *("text_editor_code_execution_tool_result", "text_editor_code_execution_view_result"),
        *("text_editor_code_execution_create_result", "tool_search_tool_result"),
        *("tool_search_tool_search_result", "code_execution_20250825", "advisor_result"),
        *("url_citation", "file_citation", "container_file_citation", "file_path"),
        *("base64", "url", "content"),  # Where a picture or a document, named so, comes from.
        *("char_location", "page_location", "content_block_location", "search_result_location"),
        *("web_search_result_location", "citations_delta"),
        *("object", "array", "string", "number", "integer", "boolean", "null"),
    }
)
_TYPE: Final = re.compile(rb'"type"\s*+:\s*+"((?:[^"\\]|\\.)*+)"', re.DOTALL)
# What can be shown to whoever sent it.
_NAME: Final = re.compile(r"[\w.:\-]{1,64}", re.ASCII)
_TOOL_USES: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


def hidden_input(
    marks: re.Pattern[bytes], holder: str, *texts: bytes | msgspec.Raw
) -> tuple[str, ...]:
    """Return what hides input, in alphabetical order.

    Args:
        marks: names that hide input wherever they stand.
        holder: the field that the texts come from, which is named when they are too many.
        texts: conversations as plain JSON text.
    """
    if any(_crowded(text) for text in texts):
        return (holder,)
    types = {name for text in texts for name in _TYPE.findall(text)}
    unknown = {name.decode() for name in types} - _SHOWN
    unknown = {name if _NAME.fullmatch(name) else "type" for name in unknown}
    return tuple(sorted(unknown.union(found(marks, *texts))))


def _crowded(text: bytes | msgspec.Raw) -> bool:
    view, quotes = memoryview(text), 0
    for start in range(0, len(view), _PIECE_BYTES):
        quotes += bytes(view[start : start + _PIECE_BYTES]).count(b'"')
        if quotes > QUOTES_MAX:
            return True
    return False


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: msgspec.Raw
    content: msgspec.Raw


class _Block(msgspec.Struct):
    type: str


_MESSAGES: Final = msgspec.json.Decoder(list[_Message])
_BLOCKS: Final = msgspec.json.Decoder(list[_Block])
_MEMBERS: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def without_tool_inputs(messages: msgspec.Raw) -> msgspec.Raw | bytes:
    """Return Anthropic's messages without what the model handed to tools; as they are if unusual.

    That is JSON of any kind: a tool may well have a field `type`, and a file may be its answer.
    """
    known = decoded(_MESSAGES, messages)
    if known is None:
        return messages
    contents: list[bytes] = []
    for message in known:
        if not opens_with(message.content, b"["):
            continue
        # Blocks without a type are unusual; and to find that out costs nothing.
        if decoded(_BLOCKS, message.content) is None:
            return messages
        blocks = _MEMBERS.decode(message.content)
        contents += [_written(block) for block in blocks]
    return b",".join(contents)


def _written(block: dict[str, msgspec.Raw]) -> bytes:
    if bytes(block["type"]).strip(b'"').decode() in _TOOL_USES:
        block.pop("input", None)
    return written(block)
