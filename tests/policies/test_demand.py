"""A demand: what a request says of itself, with nothing assumed where it is silent."""

from __future__ import annotations

from policies.demand import Demand, ToolDemand


def test_a_silent_request_demands_one_plain_answer_without_a_limit() -> None:
    demand = Demand(model="acme/mini", body_bytes=10, output_limit=None)

    assert (demand.choices, demand.output_beside_limit) == (1, 0)
    assert (demand.hidden_input, demand.server_tools) == ((), ())
    assert (demand.declares_tools, demand.audio, demand.background) == (False, False, False)
    assert (demand.cache_write, demand.service_tier) == ("default", None)


def test_no_limit_is_not_a_limit_of_nothing() -> None:
    silent = Demand(model="acme/mini", body_bytes=10, output_limit=None)
    nothing = Demand(model="acme/mini", body_bytes=10, output_limit=0)

    assert silent != nothing


def test_a_tool_may_run_as_often_as_it_likes_unless_the_request_says_otherwise() -> None:
    assert ToolDemand(kind="web_search").calls_max is None
    assert ToolDemand(kind="web_search", calls_max=0).calls_max == 0
