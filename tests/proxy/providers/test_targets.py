"""From an endpoint to a URL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.endpoints import Endpoint, Operation
from proxy.providers.targets import Targets, without_version
from tests.proxy.providers.configured import Configured, endpoint


def targets(template: str, base_url: str = "https://provider.example/") -> Targets:
    return Targets(base_url, {"generate_content": template}, Configured())


def model(name: str) -> Endpoint:
    return Endpoint(
        operation=Operation.GENERATE_CONTENT,
        dialect="generate_content",
        metered=True,
        model=name,
        version="v1beta",
    )


def test_places_are_filled_with_what_the_path_named() -> None:
    target = targets("/{version}/{model}/{publisher}").target(model("a:b@c"), ())

    assert target is not None
    assert str(target.url) == "https://provider.example/v1beta/a:b@c/"


def test_a_place_that_nothing_fills_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"'generate_content' has \{modell\}"):
        targets("/{modell}")


def test_an_operation_without_a_template_has_no_place() -> None:
    assert targets("/x").target(endpoint("POST", "/v1/messages"), ()) is None
    assert targets("/x").target(endpoint("POST", "/v1/messages?beta=true"), ()) is None


def test_a_query_goes_along() -> None:
    found = endpoint("POST", "/v1/models/g:generateContent?alt=sse&key=bsr_1")

    target = targets("/x").target(found, ())

    assert target is not None
    assert str(target.url) == "https://provider.example/x?alt=sse"


@pytest.mark.parametrize(
    ("base_url", "plain"),
    [
        ("https://h/api/v1/", "https://h/api"),
        ("https://h/v1beta1", "https://h"),
        ("https://h/v10", "https://h/v10"),
    ],
)
def test_a_version_at_the_end_is_taken_off(base_url: str, plain: str) -> None:
    assert without_version(base_url) == plain


@given(st.text(min_size=1, max_size=60))
def test_no_name_changes_the_rest_of_the_url(name: str) -> None:
    target = targets("/before/{model}/after").target(model(name.replace("\ud800", "")), ())

    assert target is not None
    path = target.url.raw_path
    assert target.url.host == "provider.example"
    assert not target.url.raw_query_string
    assert path.startswith("/before/")
    assert path.endswith("/after")
    assert path.count("/") == 3
