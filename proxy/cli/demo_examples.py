"""What a demo prints to be copied: calls that work, and one that its budget refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A piece of shell to be pasted; nothing before or behind it is needed."""

    title: str
    text: str


_CURL: Final = """\
curl {gateway}/v1/chat/completions \\
  -H 'authorization: Bearer {research}' \\
  -H 'content-type: application/json' \\
  -d '{{"model": "acme/mini", "max_tokens": 100, "messages": [{{"role": "user", "content": "Hi"}}]}}'"""
_OPENAI: Final = """\
python - <<'END'
from openai import OpenAI
client = OpenAI(
    base_url="{gateway}/v1",
    api_key="{research}",
)
answer = client.responses.create(model="openai/gpt-5.6-mini", input="Hi", max_output_tokens=100)
print(answer.output_text)
END"""
_ANTHROPIC: Final = """\
python - <<'END'
from anthropic import Anthropic
client = Anthropic(
    base_url="{gateway}",
    api_key="{research}",
)
hi = [{{"role": "user", "content": "Hi"}}]
answer = client.messages.create(model="anthropic/claude-haiku-4.5", messages=hi, max_tokens=100)
print(answer.content[0].text)
END"""
_GOOGLE: Final = """\
python - <<'END'
from google import genai
client = genai.Client(
    http_options={{"base_url": "{gateway}"}},
    api_key="{support}",
)
answer = client.models.generate_content(model="gemini-3.8-flash", contents="Hi")
print(answer.text)
END"""
_REFUSED: Final = """\
curl -i {gateway}/v1/messages \\
  -H 'x-api-key: {interns}' \\
  -H 'content-type: application/json' \\
  -d '{{"model": "anthropic/claude-opus-5.5", "max_tokens": 20000,
       "messages": [{{"role": "user", "content": "Write a novel"}}]}}'"""
_LEFT: Final = """\
curl {gateway}/v1/budget \\
  -H 'authorization: Bearer {interns}'"""
_ADMIN: Final = """\
curl {admin}/admin/v1/budgets \\
  -H 'authorization: Bearer {admin_token}'"""
_COMMANDS: Final = "bursar budgets --config {configuration}"


def examples(
    *, gateway: str, admin: str, admin_token: str, configuration: str, **keys: str
) -> Sequence[Example]:
    """Return the examples, with the demo's addresses and keys in them."""
    titled = (
        ("A call, by curl", _CURL),
        ("By the OpenAI SDK", _OPENAI),
        ("By the Anthropic SDK", _ANTHROPIC),
        ("By the google-genai SDK", _GOOGLE),
        ("Refused: it could cost 50 cents, and interns have 2 a day", _REFUSED),
        ("What a key has left", _LEFT),
        ("What everybody has spent", f"{_COMMANDS}\n{_ADMIN}"),
    )
    names = {
        "gateway": gateway,
        "admin": admin,
        "admin_token": admin_token,
        "configuration": configuration,
        **keys,
    }
    return [Example(title=title, text=text.format(**names)) for title, text in titled]
