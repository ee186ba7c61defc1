"""`bursar run`: programs of every SDK, unchanged, with a budget around them."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog

from policies.clock import SystemClock
from policies.decisions import Standing
from proxy.cli.main import run
from proxy.cli.run import Outcome, _summary, _summary_json
from proxy.cli.tally import Tally
from proxy.telemetry.metrics import Metrics
from tests.doubles.waiting import until
from tests.proxy.cli.conftest import Finish, Start

# As its users write it: no base URL, no key, nothing of Bursar.
EVERY_SDK = """
import sys
import anthropic, openai
from google import genai

hi = [{"role": "user", "content": "Hi"}]
chat = openai.OpenAI().chat.completions.create(
    model="openai/gpt-4o-mini", messages=hi, max_tokens=50, stream=True
)
print("chat", sum(1 for _ in chat) > 1)
response = openai.OpenAI().responses.create(
    model="openai/gpt-4o-mini", input="Hi", max_output_tokens=50
)
print("responses", response.usage.output_tokens)
message = anthropic.Anthropic().messages.create(
    model="anthropic/claude-haiku-4.5", messages=hi, max_tokens=50
)
print("messages", message.usage.output_tokens)
client = genai.Client()
content = client.models.generate_content(model="gemini-3.8-flash", contents="Hi")
print("generate_content", content.usage_metadata.candidates_token_count > 0)
sys.exit(7)
"""
REFUSED = """
import openai

try:
    openai.OpenAI().chat.completions.create(
        model="openai/gpt-4o", messages=[{"role": "user", "content": "Hi"}], max_tokens=10_000
    )
except openai.APIStatusError as error:
    print(error.status_code, error.code)
"""

# What an SDK does, without the second that it takes to import one.
PLAIN = """
import json, os, urllib.error, urllib.request

body = {{"model": {model!r}, "max_tokens": {tokens}, "messages": [{{"role": "user", "content": "Hi"}}]}}
request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions",
    json.dumps(body).encode(),
    {{
        "authorization": "Bearer " + os.environ["OPENAI_API_KEY"],
        "content-type": "application/json",
        "x-simulator-scenario": json.dumps({scenario}),
    }},
)
try:
    print(urllib.request.urlopen(request).read(1))
except urllib.error.HTTPError as error:
    print(error.code)
"""


def plain(
    model: str = "openai/gpt-4o", tokens: int = 10_000, scenario: dict[str, Any] | None = None
) -> str:
    """Return a program that makes one call."""
    return PLAIN.format(model=model, tokens=tokens, scenario=scenario or {})


@pytest.fixture
def providers(provider_url: str) -> dict[str, str]:
    """Keys in the environment, and the simulated provider where the vendors would be."""
    return {
        "OPENAI_API_KEY": "sk-openai-real",
        "OPENAI_BASE_URL": f"{provider_url}/openai/v1",
        "ANTHROPIC_API_KEY": "sk-ant-real",
        "ANTHROPIC_BASE_URL": f"{provider_url}/anthropic",
        "GEMINI_API_KEY": "AIza-real",
        "GOOGLE_GEMINI_BASE_URL": f"{provider_url}/google",
    }


def summed_up(stderr: str) -> dict[str, Any]:
    """Return what `--json` says at the end."""
    found: dict[str, Any] = json.loads(stderr.splitlines()[-1])
    return found


async def test_a_program_of_every_sdk_runs_unchanged(
    finish: Finish, providers: dict[str, str]
) -> None:
    done = await finish(
        *("run", "--budget", "5 USD", "--json", "--", sys.executable, "-c", EVERY_SDK), **providers
    )

    assert done.stdout.splitlines() == [
        "chat True",
        "responses 50",
        "messages 50",
        "generate_content True",
    ], done.stderr
    assert done.status == 7
    found = summed_up(done.stderr)
    assert (found["calls"], found["refused"], found["failed"]) == (4, 0, {})
    assert found["budget"]["spent"]["nano_usd"] > 0
    assert found["budget"]["reserved"]["nano_usd"] == 0


async def test_a_call_beyond_the_budget_is_refused_and_said_so(
    finish: Finish, providers: dict[str, str]
) -> None:
    done = await finish(
        *("run", "--budget", "0.01 USD", sys.executable, "-c", REFUSED), **providers
    )

    assert done.stdout == "402 budget_exceeded\n"
    assert done.status == 0
    assert done.stderr == "bursar run: spent $0 of $0.01 in 0 calls, 1 refused; $0.01 left"


async def test_a_call_beyond_the_budget_may_be_cut_down_to_it(
    finish: Finish, providers: dict[str, str]
) -> None:
    done = await finish(
        *("run", "--budget", "0.01 USD", "--when-short", "clamp", "--json"),
        *("--", sys.executable, "-c", plain()),
        **providers,
    )

    assert done.stdout == "b'{'\n"
    found = summed_up(done.stderr)
    assert (found["calls"], found["refused"]) == (1, 0)
    assert found["budget"]["spent"]["nano_usd"] <= 10_000_000


async def test_the_program_sees_the_gateway_and_no_real_key(
    finish: Finish, providers: dict[str, str]
) -> None:
    done = await finish("run", "--budget", "5 calls", "--", "env", **providers)

    variables = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    assert variables["OPENAI_API_KEY"].startswith("bsr_")
    assert variables["OPENAI_BASE_URL"].startswith("http://127.0.0.1:")
    assert "real" not in done.stdout
    assert done.stderr.endswith("spent 0 calls of 5 calls in 0 calls, 0 refused; 5 calls left")


async def test_a_model_whose_price_nobody_knows_is_refused_or_held_at_what_was_said(
    finish: Finish, providers: dict[str, str]
) -> None:
    program = plain("gpt-of-tomorrow", 10)
    run = ("run", "--budget", "5 USD", "--json")

    refused = await finish(*run, "--", sys.executable, "-c", program, **providers)
    held = await finish(
        *run, "--when-unpriced", "1 USD", "--", sys.executable, "-c", program, **providers
    )

    assert refused.stdout == "400\n"
    assert summed_up(refused.stderr)["failed"] == {"unpriced": 1}
    assert summed_up(held.stderr)["budget"]["spent"]["usd"] == "1"


async def test_one_provider_may_serve_everything(
    finish: Finish, served_folder: Path, providers: dict[str, str]
) -> None:
    done = await finish(
        *("run", "--budget", "1 USD", "--provider", "sim", "--json"),
        *("--", sys.executable, "-c", plain(tokens=10)),
        **providers,
    )

    assert done.stdout == "b'{'\n"
    assert summed_up(done.stderr)["calls"] == 1


async def test_the_summary_comes_after_a_program_that_was_killed(
    start: Start, providers: dict[str, str], tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    running = await start(
        *("run", "--budget", "5 USD", "--", "sh", "-c", f"touch {ready}; exec sleep 60"),
        **providers,
    )
    await until(ready.exists)

    running.signal(signal.SIGTERM)

    done = await running.finish()
    assert done.status == 128 + signal.SIGTERM
    assert "spent $0 of $5 in 0 calls" in done.stderr


async def test_the_last_calls_are_waited_for_until_somebody_is_impatient(
    start: Start, providers: dict[str, str], tmp_path: Path
) -> None:
    # The provider is silent after a first piece; the program does not wait for the rest.
    program = plain(tokens=10, scenario={"stall_after_events": 2})
    program = program.replace("json.dumps(body)", 'json.dumps(body | {"stream": True})')
    program = program.replace(
        "print(urllib.request.urlopen(request).read(1))",
        "urllib.request.urlopen(request).read(1); os._exit(5)",
    )
    running = await start(
        *("run", "--budget", "5 USD", "--json", "--", sys.executable, "-c", program), **providers
    )
    await running.logged("waiting for the last calls to be settled")

    running.signal(signal.SIGINT)

    done = await running.finish()
    assert done.status == 5
    assert summed_up(done.stderr)["calls"] == 1


async def test_a_program_that_is_not_there_is_127(
    finish: Finish, providers: dict[str, str]
) -> None:
    done = await finish("run", "--budget", "5 USD", "--", "no-such-program", **providers)

    assert done.status == 127
    assert done.stderr == "bursar run: there is no program 'no-such-program'"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--budget", "5 EUR", "--", "true"], "'EUR' is not a unit"),
        (["--budget", "1 USD", "--window", "aeon", "--", "true"], "'aeon' is not a window"),
        (["--budget", "1 USD", "--provider", "sym", "--", "true"], "did you mean 'sim'?"),
        (["--budget", "1 USD", "--when-unpriced", "1 calls", "--", "true"], "amount of USD"),
        (["--budget", "1 USD"], "Missing argument"),
        (["--", "true"], "Missing option '--budget'"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_wrong_usage_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(["run", *arguments]) == 2

    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1


def test_without_any_provider_it_says_how_to_have_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("proxy.cli.run.environment", dict)

    assert run(["run", "--budget", "1 USD", "--", "true"]) == 2

    assert "set OPENAI_API_KEY" in capsys.readouterr().err


async def test_the_log_can_be_kept(
    finish: Finish, providers: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"

    done = await finish(
        *("run", "--budget", "0.01 USD", "--log-file", str(log)),
        *("--", sys.executable, "-c", plain()),
        **providers,
    )

    assert done.status == 0
    assert "call_refused" in log.read_text()


@pytest.mark.parametrize(
    ("spent", "reserved", "said"),
    [
        (3, 0, "spent 3 calls of 5 calls in 2 calls, 1 refused; 2 calls left"),
        (3, 1, "; 1 calls left, 1 calls still reserved (and failed: 1 unpriced)"),
        (None, 0, "the ledger does not answer, so what was spent is not known, in 2 calls"),
    ],
)
def test_what_is_said_at_the_end(spent: int | None, reserved: int, said: str) -> None:
    tally = Tally(Metrics(SystemClock()), structlog.wrap_logger(structlog.ReturnLogger()))
    tally.admissions, tally.refusals = 2, 1
    if reserved:
        tally.others["unpriced"] = 1
    standing = None if spent is None else _standing(spent, reserved)

    outcome = Outcome(status=0, standing=standing, tally=tally)

    assert said in _summary(outcome)
    assert (json.loads(_summary_json(outcome))["budget"] is None) == (spent is None)


def _standing(spent: int, reserved: int) -> Standing:
    return Standing(
        budget="run",
        subject="",
        unit="calls",
        mode="enforce",
        limit=5,
        spent=spent,
        reserved=reserved,
        overrun=0,
        start_ms=0,
        end_ms=None,
        window="lifetime",
    )
