"""YAML as texts with their lines, and everything in it that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.lined_yaml import (
    DEPTH_MAX,
    FILE_BYTES_MAX,
    Lined,
    Mistake,
    Mistakes,
    parse,
    place_text,
    read,
    yaml_files,
)


def said(lined: Lined) -> list[str]:
    return [f"{each.line}: {each.field}: {each.message}" for each in lined.mistakes]


def test_values_are_texts_and_know_their_lines() -> None:
    lined = parse("a: 1\nb:\n  - x\n  - c: no\n    d: 'e'\n", "f.yaml", {})

    assert lined.data == {"a": "1", "b": ["x", {"c": "no", "d": "e"}]}
    assert lined.line(("a",)) == 1
    assert lined.line(("b", 0)) == 3
    assert lined.line(("b", 1, "d")) == 5
    assert lined.where(("b", 1)) == "f.yaml:4"
    assert lined.readable
    assert lined.mistakes == []


def test_the_line_of_what_is_not_written_is_that_of_what_surrounds_it() -> None:
    lined = parse("a:\n  b: 1\n", "f.yaml", {})

    assert lined.line(("a", "c", "d")) == 1
    assert lined.line(("a", "b", "d")) == 2
    assert lined.line(("z",)) == 1


def test_texts_keep_their_lines_and_signs() -> None:
    text = "a: |\n  one\n  two\nb: \"x\\ty\"\nc: 'null'\n"

    assert parse(text, "f.yaml", {}).data == {"a": "one\ntwo\n", "b": "x\ty", "c": "null"}


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "~\n", "null"])
def test_an_empty_document_holds_nothing(text: str) -> None:
    lined = parse(text, "f.yaml", {})

    assert (lined.data, lined.mistakes) == ({}, [])


def test_mistakes_do_not_stop_the_reading() -> None:
    lined = parse("a: ~\nb: ${NOT_SET}\nc: [1, ~, 3]\nd: 4\nd: 5\ne: 6\n", "f.yaml", {})

    assert lined.data == {"c": ["1", None, "3"], "d": "4", "e": "6"}
    assert [(each.line, each.field) for each in lined.mistakes] == [
        (1, "a"),
        (2, "b"),
        (3, "c[1]"),
        (5, "d"),
    ]


def test_a_name_that_is_set_twice_keeps_its_first_value() -> None:
    lined = parse("a: 1\nb: {c: [2, {d: 3}]}\nb: {e: [4, {f: 5}]}\na: 6\ng: 7", "f.yaml", {})

    assert lined.data == {"a": "1", "b": {"c": ["2", {"d": "3"}]}, "g": "7"}
    assert said(lined) == [
        "3: b: is set twice, first in line 2: keep one",
        "4: a: is set twice, first in line 1: keep one",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: ${NAME}", "value"),
        ("a: 'x-${NAME}-${NAME}'", "x-value-value"),
        ("a: ${NOT_SET:-other}", "other"),
        ("a: '${NOT_SET:-}'", ""),
        ("a: ${NAME:-other}", "value"),
        ("a: ${EMPTY:-other}", "other"),
        ("a: '${EMPTY}'", ""),
        ("a: $${NAME}", "${NAME}"),
        ("a: $NAME", "$NAME"),
        ("a: '${TRICK}'", "x: [1, *a"),
        ("a: '${NESTED}'", "${NAME}"),
    ],
)
def test_variables_come_from_the_environment(text: str, expected: str) -> None:
    environ = {"NAME": "value", "EMPTY": "", "TRICK": "x: [1, *a", "NESTED": "${NAME}"}

    lined = parse(text, "f.yaml", environ)

    assert (lined.data, lined.mistakes) == ({"a": expected}, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\na: ${KEY}", "2: a: the environment variable KEY is not set: set it, or give a default"),
        ("a: '${}'", "1: a: '${}' is no variable: write ${NAME} or ${NAME:-default}"),
        ("a: '${KEY'", "1: a: '${KEY' is no variable: write ${NAME} or ${NAME:-default}"),
        ("a: '${KEY-x}'", "1: a: '${KEY-x}' is no variable: write ${NAME} or ${NAME:-default}"),
    ],
)
def test_a_variable_that_cannot_be_had_is_a_mistake(text: str, expected: str) -> None:
    lined = parse(text, "f.yaml", {})

    assert lined.data == {}
    assert len(lined.mistakes) == 1
    assert said(lined)[0].startswith(expected)


def test_what_follows_from_a_mistake_is_not_said_again() -> None:
    lined = Lined(file="f.yaml", data={}, lines={("a",): 1, ("a", "b"): 2})

    lined.add(("a", "b"), "is wrong")
    lined.add(("a", "b"), "is wrong in another way")
    lined.add(("a",), "has something wrong in it")
    lined.add((), "has something wrong in it")
    lined.add(("a", "c"), "is wrong on its own account")

    assert said(lined) == ["2: a.b: is wrong", "1: a.c: is wrong on its own account"]


def test_nesting_has_an_end() -> None:
    deep = "a: " + "[" * DEPTH_MAX + "]" * DEPTH_MAX

    assert parse(deep, "f.yaml", {}).readable
    assert said(parse("a: " + "[" * 10_000, "f.yaml", {})) == [
        f"1: : is nested deeper than {DEPTH_MAX} levels"
    ]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a: 1\nb: caf\xe9\n", "2: : is not UTF-8: save the file in that encoding"),
        (b"a: 1\n\nb: \x07\n", "3: : holds a control character, which YAML forbids: remove it"),
        (b"#" * (FILE_BYTES_MAX + 1), "1: : is larger than 1 MiB: split it into several files"),
    ],
)
def test_a_file_that_is_no_text_is_a_mistake(tmp_path: Path, raw: bytes, expected: str) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(raw)

    lined = read(file, {})

    assert said(lined) == [expected]
    assert not lined.readable


def test_a_file_may_begin_with_a_byte_order_mark_and_be_as_large_as_allowed(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\n" + b"#" * (FILE_BYTES_MAX - 9))

    assert read(file, {}).data == {"a": "1"}


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    assert said(read(tmp_path / "no.yaml", {})) == [
        "1: : cannot be read: No such file or directory"
    ]
    assert said(read(tmp_path, {})) == ["1: : cannot be read: Is a directory"]


def test_the_files_of_a_folder_come_in_order_and_once(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", ".hidden.yaml", "notes.md", "c.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "d.yaml").mkdir()
    (tmp_path / "link.yaml").symlink_to(tmp_path / "b.yaml")

    files, mistakes = yaml_files([tmp_path / "c.yaml", tmp_path, tmp_path / "a.yml"])

    assert [file.name for file in files] == ["c.yaml", "a.yml", "b.yaml"]
    assert mistakes == []


def test_paths_without_files_are_mistakes(tmp_path: Path) -> None:
    files, mistakes = yaml_files([tmp_path, tmp_path / "no"])

    assert files == []
    assert [mistake.message for mistake in mistakes] == [
        "holds no *.yaml files: add one",
        "does not exist: create it",
    ]


def test_a_mistake_is_a_line_that_editors_can_jump_to() -> None:
    mistakes = [Mistake("f.yaml", 3, "a[0].b", "is wrong"), Mistake("g.yaml", 1, "", "is empty")]

    assert str(Mistakes(mistakes)) == "f.yaml:3: a[0].b: is wrong\ng.yaml:1: is empty"
    assert place_text(("a", 0, 1, "b")) == "a[0][1].b"
    assert place_text(()) == ""


@given(
    st.text()
    | st.text("{}[]:,&*!|>'\"%@`#-? \n\t~<ab$", max_size=60)
    | st.lists(
        st.sampled_from(["a: ", "- ", "\n", "  ", "*a", "&a ", "? ", "{", "}", "---\n"])
    ).map("".join)
)
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    lined = parse(text, "f.yaml", {})

    assert all(1 <= each.line <= text.count("\n") + 2 for each in lined.mistakes)
    assert all(each.message for each in lined.mistakes)
