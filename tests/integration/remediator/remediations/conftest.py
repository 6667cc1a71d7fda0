"""The scope and the object storage that the tests of the remediations share."""

from collections.abc import Callable
from typing import Any

import pytest
from obstore.store import S3Store

from remediator.model.remediation import Scope, TargetName
from runbookd.inventory import RemediationSettings, Stack

ScopeOf = Callable[..., Scope]


@pytest.fixture
def scope_of() -> ScopeOf:
    """Make scopes in the stack `shop` as the engine does, from validated inventory settings."""

    def make(
        kind: Any, *, stack: dict[str, Any], name: str = "main", queue: str | None = None, **settings: Any
    ) -> Scope:
        return Scope(
            Stack.model_validate(stack),
            TargetName("shop", kind, name, queue),
            RemediationSettings.model_validate(settings),
            run="17",
        )

    return make


@pytest.fixture
def store(bucket: Any) -> S3Store:
    """Open the folder as another program would."""
    return S3Store(
        bucket.name,
        prefix="db",
        config={
            "aws_access_key_id": "other",
            "aws_secret_access_key": "other",
            "aws_region": "us-east-1",
            "aws_endpoint": bucket.server.url,
        },
        client_options={"allow_http": True},
    )
