"""What short texts mean, and what is said about those that mean nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policies import texts


@pytest.mark.parametrize(
    ("word", "near"),
    [("budgts", "budgets"), ("BUDGETS", "budgets"), ("team", "teams"), ("xyzzy", None)],
)
def test_the_nearest_word_is_suggested(word: str, near: str | None) -> None:
    expected = f"did you mean '{near}'?" if near else "there is budgets, teams"

    assert texts.suggestion(word, ["teams", "budgets"]) == expected


def test_where_nothing_is_known_nothing_is_suggested() -> None:
    assert texts.nearest("a", []) == ""
    assert texts.suggestion("a", []) == "there is none"


@pytest.mark.parametrize("text", ["a", "A-1_b.c", "7", "x" * 64])
def test_names_are_plain(text: str) -> None:
    assert texts.name(text) == text


@pytest.mark.parametrize("text", ["", "-a", ".a", "a b", "a/b", "ä", "a\n", "x" * 65, "{a}"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        texts.name(text)


def test_a_text_loses_the_space_around_it() -> None:
    assert texts.plain_text(" alice@example.com ") == "alice@example.com"


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "a\x00", "x" * 257])
def test_texts_that_are_no_line_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is empty|is not a line of text"):
        texts.plain_text(text)


@pytest.mark.parametrize(("text", "number"), [("50%", 50), (" 1 % ", 1), ("100%", 100)])
def test_a_share_is_a_whole_percentage(text: str, number: int) -> None:
    assert texts.percent(text) == number


@pytest.mark.parametrize("text", ["0%", "101%", "0.5", "50", "5.5%", "-5%", ["50%"], "\u0665%"])
def test_other_shares_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        texts.percent(text)


@pytest.mark.parametrize("text", ["user", "key", "model", "session", "tag:run", "tag:a b"])
def test_counters_can_be_kept_for_each_of_these(text: str) -> None:
    assert texts.each(text) == text


@pytest.mark.parametrize("text", ["team", "tag", "tag:", "tag: ", "User", ""])
def test_counters_can_be_kept_for_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="is nothing to count for each of"):
        texts.each(text)


def test_a_time_zone_is_one_that_is_known() -> None:
    assert texts.timezone("America/Havana") == "America/Havana"
    with pytest.raises(ValueError, match="did you mean 'Europe/Berlin'"):
        texts.timezone("europe/berlin")
    with pytest.raises(ValueError, match=r"such as Europe/Berlin or UTC$"):
        texts.timezone("../../etc/passwd")


@pytest.mark.parametrize(
    ("text", "amount"), [("10%", 5), ("0%", 0), ("100%", 50), ("7 calls", 7), ("33%", 16)]
)
def test_an_overrun_is_a_share_of_the_limit_or_an_amount(text: str, amount: int) -> None:
    assert texts.overrun(text) == text
    assert texts.overrun_amount(text, "calls", 50) == amount


@pytest.mark.parametrize(
    ("value", "nano"),
    [
        ("refuse", None),
        ("reserve: 1 USD", 10**9),
        ("reserve:0.5 USD", 5 * 10**8),
        ({"reserve": "2 USD"}, 2 * 10**9),
    ],
)
def test_an_allowance_is_refused_or_an_amount_of_dollars(value: object, nano: int | None) -> None:
    assert texts.dollars(value, "reserve") == nano


@pytest.mark.parametrize(
    "value",
    [
        "reserve", "allow: 1 USD", "1 USD", {"allow": "1 USD"}, {"reserve": ["1 USD"]}, {},
        {"reserve": "1 USD", "allow": "1 USD"}, ["refuse"], "reserve: 1", "reserve: 0 USD",
    ],
)  # fmt: skip
def test_other_allowances_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not known|is not an amount|must be an amount of USD"):
        texts.dollars(value, "reserve")


def test_tags_are_a_mapping_or_a_list() -> None:
    assert texts.tags({"a": "1"}) == {"a": "1"}
    assert texts.tags(["a=1", " b = x=y "]) == {"a": "1", "b": "x=y"}
    assert texts.tags([{"a": "1"}]) == [{"a": "1"}]


@pytest.mark.parametrize("tags", [["a=1", "a=2"], ["a=1", " a=1"]])
def test_a_tag_has_one_value(tags: list[str]) -> None:
    with pytest.raises(ValueError, match="names a tag twice"):
        texts.tags(tags)


@pytest.mark.parametrize(
    ("text", "size"),
    [("64 MiB", 64 * 2**20), ("1GiB", 2**30), ("10 kB", 10_000), ("5", 5), ("5 B", 5), (7, 7)],
)
def test_a_size_is_a_number_and_a_unit(text: object, size: int) -> None:
    assert texts.size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "64 mib", "6.4 MiB", "-1", "1 TB"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        texts.size(text)


def test_a_duration_may_be_given_by_a_program() -> None:
    assert texts.duration_ms("3m") == 180_000
    assert texts.duration_ms(5) == 5


def test_a_secret_fits_into_a_header() -> None:
    assert texts.secret(" sk-1\n") == "sk-1"
    with pytest.raises(ValueError, match="holds a line break"):
        texts.secret("sk\r\nx-evil: 1")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://host/api/", "https://host/api"),
        (" http://localhost:8000/v1 ", "http://localhost:8000/v1"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_a_base_url_ends_without_a_slash(text: str, url: str) -> None:
    assert texts.base_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "host", "ftp://host", "https://", "https:///path", "http://h:0", "http://h:99999",
        "http://h:x", "http://[::1", "https://u:p@h", "https://h?a=1", "https://h#a", "",
    ],
)  # fmt: skip
def test_other_base_urls_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is not|begins with|must be)") as caught:
        texts.base_url(text)
    assert "u:p" not in str(caught.value)


def test_an_address_may_be_a_path_where_the_scheme_has_one() -> None:
    assert texts.address("sqlite:///var/a.db", ("sqlite",)) == "sqlite:///var/a.db"
    with pytest.raises(ValueError, match="is not complete"):
        texts.address("sqlite:///", ("sqlite",))


def test_a_path_begins_with_a_slash() -> None:
    assert texts.path("/v1/models") == "/v1/models"


@pytest.mark.parametrize("text", ["", "v1", "/a b", "/a\n"])
def test_other_paths_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a path"):
        texts.path(text)


@pytest.mark.parametrize("function", [texts.limit, texts.percent])
def test_a_list_is_no_text(function: Callable[[object], object]) -> None:
    with pytest.raises(ValueError, match=r"must be a single text|is not a share"):
        function(["1"])


def test_nothing_named_would_be_everything() -> None:
    assert texts.not_empty(("a",)) == ("a",)
    with pytest.raises(ValueError, match="would match everything"):
        texts.not_empty(())
