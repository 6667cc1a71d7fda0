"""Each error that an operator can meet has a status, also a special case of one."""

import pytest

from remediator.model.errors import RemediatorError, TargetUnknown, TargetUnreachable, WrongState
from remediator.server.json_errors import status_of


@pytest.mark.parametrize(
    ("error", "status"), [(WrongState("x"), 409), (TargetUnreachable("x"), 503), (TargetUnknown("x"), 503)]
)
def test_special_case_has_the_status_of_its_kind(error: RemediatorError, status: int) -> None:
    assert status_of(error) == status
