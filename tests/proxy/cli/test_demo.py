"""`bursar demo`: everything that it prints works when it is pasted, and nothing stays behind."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from pathlib import Path

from tests.proxy.cli.conftest import Finish, Start
from tests.proxy.cli.processes import Running, plain_environ
from tests.proxy.cli.serving_stories import call, status_of

PORTS = ("--port", "0", "--admin-port", "0", "--provider-port", "0")


async def printed(demo: Running) -> list[str]:
    """Return all that a demo prints for people."""
    lines: list[str] = []
    while not lines or "Ctrl-C stops everything" not in lines[-1]:
        lines.append(await demo.line())
    return lines


def examples_of(lines: list[str]) -> dict[str, str]:
    """Return the examples by their titles, as a reader would copy them."""
    blocks = re.split(r"^# ", "\n".join(lines), flags=re.MULTILINE)[1:]
    pairs = (block.partition("\n") for block in blocks)
    return {title: text.partition("\n\n")[0] for title, _, text in pairs}


async def paste(text: str, cwd: Path) -> str:
    """Run a piece of shell; return what it prints."""
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-e", "-c", text),
        cwd=cwd,
        env=plain_environ(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await shell.communicate()
    assert shell.returncode == 0, stderr.decode()
    return stdout.decode()


async def test_every_example_works_when_it_is_pasted(start: Start, tmp_path: Path) -> None:
    demo = await start("demo", *PORTS)
    examples = examples_of(await printed(demo))
    assert len(examples) == 7

    said = dict(
        zip(
            examples,
            await asyncio.gather(*(paste(text, tmp_path) for text in examples.values())),
            strict=True,
        )
    )

    by_curl, openai, anthropic, google, refused, left, spent = said.values()
    assert '"object":"chat.completion"' in by_curl
    assert all(len(text) > 20 for text in (openai, anthropic, google))
    assert refused.startswith("HTTP/1.1 402")
    assert "billing_error" in refused
    assert '"interns"' in left
    assert "research-each" in spent
    demo.signal(signal.SIGINT)
    assert (await demo.finish()).status == 0


async def test_keys_stay_the_same_while_they_are_good(
    start: Start, finish: Finish, tmp_path: Path
) -> None:
    first = await start("demo", *PORTS, "--json")
    facts = await first.facts()
    revoked = facts["keys"]["support"]["id"]
    done = await finish("keys", "revoke", revoked, "--config", facts["config"])
    assert done.status == 0
    assert (await first.stop()).status == 0

    second = await start("demo", *PORTS, "--json")
    again = await second.facts()

    assert again["admin_token"] == facts["admin_token"]
    assert again["keys"]["research"] == facts["keys"]["research"]
    assert again["keys"]["support"]["id"] != revoked
    assert await call(again["gateway"], again["keys"]["research"]["key"]) == 200
    assert await status_of(f"{again['admin']}/readyz") == 200
    assert Path(again["data_dir"]) == tmp_path / "var" / "demo"


async def test_its_policies_can_be_changed_while_it_runs(start: Start, tmp_path: Path) -> None:
    demo = await start("demo", *PORTS, "--json")
    facts = await demo.facts()
    policies = tmp_path / "var" / "demo" / "policies.yaml"

    policies.write_text(policies.read_text().replace("limit: 500 USD", "limit: 0 USD"))

    await demo.logged("policies_changed")
    assert await call(facts["gateway"], facts["keys"]["research"]["key"]) == 402


async def test_a_taken_port_is_one_clear_line(finish: Finish) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        for option in ("--port", "--provider-port"):
            done = await finish("demo", *PORTS, option, port)

            assert done.status == 1
            assert f"bursar: port {port} on 127.0.0.1 is taken" in done.stderr
