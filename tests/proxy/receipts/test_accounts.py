"""Who of the configuration uses which account."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.receipts.accounts import Account, accounts
from tests.proxy.receipts.adapters.configured import Configured


@dataclass(frozen=True, kw_only=True)
class Identified(Configured):
    """A provider of the configuration whose key has an id."""

    api_key_id: str = ""


def test_providers_with_one_management_key_have_one_account() -> None:
    payg = Identified(management_key="mg-1", api_key_id="key_1")
    subscription = Identified(management_key="mg-1", api_key_id="key_2")
    other = Identified(management_key="mg-2")

    assert accounts({"payg": payg, "other": other, "sub": subscription}) == (
        Account(name="payg", providers=("payg", "sub"), key_ids=frozenset({"key_1", "key_2"})),
        Account(name="other", providers=("other",)),
    )


def test_keys_are_told_apart_only_if_all_of_ours_are_known() -> None:
    known, unknown = (
        Identified(management_key="mg", api_key_id="k"),
        Identified(management_key="mg"),
    )

    assert accounts({"a": known, "b": unknown})[0].key_ids == frozenset()


def test_a_provider_without_a_management_key_uses_the_one_account_at_its_address() -> None:
    managed, plain = Identified(management_key="mg"), Identified()
    elsewhere = Identified(base_url="https://other.example")
    venice = Identified(kind="venice", management_key="mg")

    found = accounts({"plain": plain, "agi": managed, "else": elsewhere, "venice": venice})

    assert found == (Account(name="agi", providers=("agi", "plain")),)


def test_with_several_accounts_at_an_address_it_is_none_of_them() -> None:
    one, two = Identified(management_key="mg-1"), Identified(management_key="mg-2")

    found = accounts({"one": one, "two": two, "plain": Identified()})

    assert [account.providers for account in found] == [("one",), ("two",)]
