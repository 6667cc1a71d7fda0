"""Endpoints of the inventory: requests that cannot work, or would hand out secrets, are refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from runbookd.inventory import HttpTarget


def target(**settings: Any) -> HttpTarget:
    return HttpTarget.model_validate({"url": "https://api.example/health", **settings})


@pytest.mark.parametrize(
    ("settings", "follows"),
    [
        ({}, True),
        ({"status": 302}, False),
        ({"status": [200, 301]}, False),
        ({"headers": {"X-Key": "x"}}, False),
        ({"follow_redirects": False}, False),
        ({"bearer_token_file": "/run/secrets/token"}, True),  # the client drops it on the way to another server
    ],
)
def test_redirects_are_followed_unless_they_are_the_answer_or_would_leak(settings: Any, follows: bool) -> None:
    assert target(**settings).follows is follows


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"status": []}, "at least 1 item"),
        ({"status": 99}, "greater than or equal to 100"),
        ({"method": "DELETE"}, "Input should be 'GET', 'HEAD', 'POST' or 'OPTIONS'"),
        ({"body": "x"}, "GET sends no body; set method: POST"),
        ({"method": "HEAD", "expect": {"text": "x"}}, "the answer to HEAD has no body"),
        ({"method": "HEAD", "version": "v"}, "the answer to HEAD has no body"),
        ({"expect": {"text": "("}}, "is not a regular expression"),
        ({"expect": {"text": ""}}, "at least 1 character"),
        ({"expect": {"jsn": {}}}, "Unexpected keyword argument"),
        ({"expect": {"json": {"a": {"b": 1}}}}, "expect.json.a"),
        ({"expect": {"json": {"a": []}}}, "at least 1 item"),
        ({"headers": {"Host": "x"}}, "Host belongs to the connection"),
        ({"headers": {"X-Key": "hunter2\r\nX: y"}}, "has a line break"),
        ({"basic_auth": {"username": "a"}}, "needs password_file"),
        ({"basic_auth": {"username": "a:b", "password": "x"}}, "should match pattern"),
        ({"basic_auth": {"username": "a", "password": "hunter2", "password_file": "/x"}}, "keep one"),
        ({"basic_auth": {"username": "a", "password": "hunter2"}, "bearer_token_file": "/x"}, "keep one"),
        ({"headers": {"X-Key": "hunter2"}, "follow_redirects": True}, "would hand the headers to other servers"),
        ({"body_limit": "1MB"}, "is not a size"),
        ({"ip": "5"}, "Input should be 'any', '4' or '6'"),
        ({"tls": {"server_name": "-- x"}}, "should match pattern"),
    ],
)
def test_request_that_cannot_work_is_refused(settings: Any, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        target(**settings)
    assert text in str(caught.value)
    assert "hunter2" not in str(caught.value).split("[type=")[0]
