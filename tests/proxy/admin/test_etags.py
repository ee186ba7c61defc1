"""ETags and `If-Match`."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from proxy.admin.etags import check_unchanged, etag_of
from proxy.admin.replies import Refused

TAG = etag_of("key_1", None, 3)


def test_a_tag_is_the_same_for_the_same_and_another_for_another() -> None:
    assert etag_of("key_1", None, 3) == TAG
    assert etag_of("key_1", 3, None) != TAG
    assert TAG.startswith('"')
    assert TAG.endswith('"')


@pytest.mark.parametrize("given", [[], ["*"], [TAG], [f'"other", {TAG}'], ['"other"', TAG]])
def test_whoever_has_seen_the_latest_may_change_it(given: list[str]) -> None:
    headers = CIMultiDict([("If-Match", each) for each in given])

    check_unchanged(make_mocked_request("POST", "/", headers=headers), TAG)


@pytest.mark.parametrize(
    "given", ['"other"', f"W/{TAG}", TAG.strip('"'), "garbage", '"a",' * 20 + TAG]
)
def test_whoever_has_not_may_not(given: str) -> None:
    request = make_mocked_request("POST", "/", headers={"If-Match": given})

    with pytest.raises(Refused) as refused:
        check_unchanged(request, TAG)

    assert (refused.value.status, refused.value.code) == (412, "changed")
