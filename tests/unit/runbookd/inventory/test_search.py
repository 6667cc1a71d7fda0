"""Search clusters of the inventory: names that a cluster refuses, and two logins, are refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from runbookd.inventory.search import SearchTarget


@pytest.mark.parametrize("name", ["*", "products-*", "logs.2026", "a_b"])
def test_name_of_an_index_is_accepted(name: str) -> None:
    assert SearchTarget.model_validate({"url": "http://127.0.0.1:9200", "indices": [name]}).indices == (name,)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"indices": ["-secret"]}, "should match pattern"),
        ({"indices": ["a,b"]}, "should match pattern"),
        ({"indices": ["a/_settings"]}, "should match pattern"),
        ({"indices": ["Products"]}, "should match pattern"),
        ({"indices": []}, "at least 1 item"),
        ({"aliases": ["products*"]}, "a name has no star"),
        ({"basic_auth": {"username": "a", "password": "hunter2"}, "api_key_file": "/x"}, "keep one"),
    ],
)
def test_unusable_cluster_is_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SearchTarget.model_validate({"url": "http://127.0.0.1:9200", **settings})
    assert text in str(caught.value)
