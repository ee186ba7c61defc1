"""What the admin plane is made from."""

from __future__ import annotations

from proxy.admin.services import KeyAdministration, Services
from tests.proxy.admin.conftest import Plane


def test_the_store_of_keys_is_one(plane: Plane) -> None:
    def takes(keys: KeyAdministration) -> KeyAdministration:
        return keys

    assert takes(plane.services.keys) is plane.services.keys
    assert isinstance(plane.services, Services)
