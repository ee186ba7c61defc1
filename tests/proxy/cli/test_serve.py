"""`bursar serve` as a process: started, drained, reloaded, and gone without a trace."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.doubles.waiting import until
from tests.proxy.cli.conftest import Finish, Start
from tests.proxy.cli.processes import alive
from tests.proxy.cli.serving_stories import admin, answers, call, new_key, slow_stream, status_of

pytestmark = pytest.mark.usefixtures("served_folder")


async def test_people_see_where_everything_is(start: Start) -> None:
    proxy = await start("serve")

    lines = [" ".join((await proxy.line()).split()) for _ in range(5)]

    assert lines[0].startswith("gateway http://127.0.0.1:")
    assert lines[1].startswith("admin http://127.0.0.1:")
    assert lines[2] == "providers sim"
    assert lines[3] == "policies 2 teams, 3 budgets from ./policies.yaml"
    assert lines[4] == "data ./var with an embedded Redis"
    assert (await proxy.stop()).status == 0


async def test_calls_are_served_counted_and_shown(start: Start, finish: Finish) -> None:
    proxy = await start("serve", "--json")
    facts = await proxy.facts()
    key = await new_key(finish)

    assert await call(facts["gateway"], key) == 200
    assert await call(facts["gateway"], "bsr_wrong") == 401

    assert await status_of(f"{facts['admin']}/readyz") == 200
    found = await admin(facts["admin"], "/admin/v1/budgets")
    assert found["items"][0]["spent"]["nano_usd"] > 0
    (row,) = (await admin(facts["admin"], "/admin/v1/calls"))["items"]
    assert (row["state"], row["model"], row["team"]) == ("settled", "acme/mini", "red")
    done = await proxy.stop()
    assert (done.status, done.stdout) == (0, "")


async def test_a_stream_in_flight_ends_before_the_proxy_does(start: Start, finish: Finish) -> None:
    proxy = await start("serve", "--json")
    facts = await proxy.facts()
    key = await new_key(finish)

    async with slow_stream(facts["gateway"], key) as answer:
        proxy.signal(signal.SIGTERM)
        await proxy.logged("stopping")

        async def unready() -> bool:
            return await status_of(f"{facts['admin']}/readyz") == 503

        await until(unready)
        rest = await answer.content.read()

    assert rest.endswith(b"data: [DONE]\n\n")
    assert (await proxy.finish()).status == 0
    shown = await finish("budgets", "--json")
    assert '"reserved": {"nano_usd": 0' in shown.stdout


async def test_a_second_signal_ends_it_at_once(start: Start, finish: Finish) -> None:
    proxy = await start("serve", "--json")
    facts = await proxy.facts()
    key = await new_key(finish)

    async with slow_stream(facts["gateway"], key):
        proxy.signal(signal.SIGINT)
        await proxy.logged("stopping")
        proxy.signal(signal.SIGINT)

        assert (await proxy.finish()).status == 1


async def test_changed_policies_are_in_force_without_a_restart(
    start: Start, finish: Finish, served_folder: Path
) -> None:
    proxy = await start("serve", "--json")
    facts = await proxy.facts()
    key = await new_key(finish)
    policies = served_folder / "policies.yaml"
    text = policies.read_text()

    policies.write_text(text.replace("limit: 100 USD", "limit: 0 USD"))
    await proxy.logged("policies_changed", "budget all: limit 100 USD → 0 USD")
    assert await call(facts["gateway"], key) == 402

    policies.write_text(text.replace("limit: 100 USD", "limit: 100 UDS"))
    await proxy.logged("policy_mistake", "policies.yaml:7: budgets[0].limit: 'UDS'")
    await proxy.logged("policies_not_changed")
    assert await call(facts["gateway"], key) == 402

    policies.write_text(text)
    proxy.signal(signal.SIGHUP)
    await proxy.logged("policies_changed", "limit 0 USD → 100 USD")
    assert await call(facts["gateway"], key) == 200


async def test_a_taken_port_is_one_clear_line(finish: Finish) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        for arguments in (("--port", str(port)), ("--admin-port", str(port), "--workers", "2")):
            done = await finish("serve", *arguments)

            assert done.status == 1
            assert done.stderr == (
                f"bursar: port {port} on 127.0.0.1 is taken: stop what uses it, "
                "or choose another one"
            )


async def test_every_mistake_is_said_before_anything_is_started(
    finish: Finish, served_folder: Path
) -> None:
    policies = served_folder / "policies.yaml"
    policies.write_text(policies.read_text().replace("window: day", "window: fortnight"))

    done = await finish("serve")

    assert done.status == 2
    assert done.stderr.startswith(f"{policies}:8: budgets[1].window: 'fortnight'")
    assert not (served_folder / "var").exists()


# Several workers…


async def test_workers_share_one_port_and_one_truth(start: Start, finish: Finish) -> None:
    proxy = await start("serve", "--json", "--workers", "2")
    facts = await proxy.facts()
    key = await new_key(finish)

    # Each call has a connection of its own: the kernel deals them out to the workers.
    assert [await call(facts["gateway"], key) for _ in range(8)] == [200] * 8

    assert facts["workers"] == 2
    assert len((await admin(facts["admin"], "/admin/v1/calls"))["items"]) == 8
    assert await status_of(f"{facts['admin']}/readyz") == 200
    assert (await proxy.stop()).status == 0
    assert not await answers(facts["gateway"])


async def test_workers_end_their_streams_and_take_new_policies(
    start: Start, finish: Finish, served_folder: Path
) -> None:
    proxy = await start("serve", "--json", "--workers", "2")
    facts = await proxy.facts()
    key = await new_key(finish)
    policies = served_folder / "policies.yaml"

    async with slow_stream(facts["gateway"], key) as answer:
        policies.write_text(policies.read_text().replace("limit: 100 USD", "limit: 0 USD"))
        await proxy.logged("policies_changed", "limit 100 USD → 0 USD")

        async def refused_everywhere() -> bool:
            return {await call(facts["gateway"], key) for _ in range(6)} == {402}

        await until(refused_everywhere)
        proxy.signal(signal.SIGTERM)
        rest = await answer.content.read()

    assert rest.endswith(b"data: [DONE]\n\n")
    assert (await proxy.finish()).status == 0


async def test_a_worker_that_is_killed_is_replaced(start: Start, finish: Finish) -> None:
    proxy = await start("serve", "--json", "--workers", "2")
    facts = await proxy.facts()
    key = await new_key(finish)
    worker = _workers(proxy.pid)[0]

    os.kill(worker, signal.SIGKILL)

    await proxy.logged("worker_died", '"status":-9')
    await proxy.logged("worker_replaced")
    assert [await call(facts["gateway"], key) for _ in range(4)] == [200] * 4
    assert not alive(worker)
    assert (await proxy.stop()).status == 0


async def test_no_worker_outlives_a_proxy_that_is_killed(start: Start) -> None:
    proxy = await start("serve", "--json", "--workers", "2")
    await proxy.facts()
    workers = _workers(proxy.pid)
    assert len(workers) == 2

    proxy.signal(signal.SIGKILL)

    await until(lambda: not any(alive(worker) for worker in workers))


def _workers(parent: int) -> list[int]:
    """Return the worker processes of a proxy, by what the kernel knows."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            started_by = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text()
        except (OSError, ValueError):
            continue
        if started_by == parent and "proxy.cli.worker" in command:
            found.append(int(folder.name))
    return found
