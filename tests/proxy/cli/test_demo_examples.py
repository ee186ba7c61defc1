"""The demo's examples, as text; test_demo.py runs them."""

from __future__ import annotations

from proxy.cli.demo_examples import examples

#: A common terminal. What is longer is folded there, and hard to read.
COLUMNS = 100


def test_examples_can_be_pasted_and_fit_a_terminal() -> None:
    found = examples(
        gateway="http://127.0.0.1:8080",
        admin="http://127.0.0.1:8081",
        admin_token="adm_" + "x" * 32,
        configuration="./var/demo/bursar.yaml",
        research="bsr_" + "r" * 43,
        support="bsr_" + "s" * 43,
        interns="bsr_" + "i" * 43,
    )

    lines = [line for example in found for line in example.text.splitlines()]
    assert max(map(len, lines)) <= COLUMNS
    assert not any("{gateway}" in line or "{{" in line for line in lines)
    for example in found:
        assert example.text.startswith(("curl ", "python ", "bursar ")), "flush left"
