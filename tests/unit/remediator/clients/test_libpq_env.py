"""An address as libpq's commands get it; every parameter of the installed libpq is known."""

import ctypes
from itertools import count, takewhile
from pathlib import Path

import pytest

from remediator.clients.libpq_env import VARIABLES, libpq_connection
from runbookd.addresses import AddressError
from runbookd.addresses.postgres import AUTHORITY, DRIVER, LIBPQ_ONLY
from tools.toolchain import paths

# Not all of `.tools`, where folders of other tests come and go.
LIBRARIES = sorted(file for group in ("servers", "wheels") for file in paths.group_root(group).glob("**/libpq.so.5"))


class Option(ctypes.Structure):
    """PQconninfoOption of libpq-fe.h."""

    _fields_ = (
        *((name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "val", "label", "dispchar")),
        ("dispsize", ctypes.c_int),
    )


@pytest.mark.parametrize("file", LIBRARIES, ids=lambda file: file.parents[1].name)
def test_every_parameter_of_libpq_is_known_with_its_variable(file: Path) -> None:
    list_options = ctypes.CDLL(str(file)).PQconndefaults
    list_options.restype = ctypes.POINTER(Option)
    options = takewhile(lambda option: option.keyword, map(list_options().__getitem__, count()))
    variables = {option.keyword.decode(): (option.envvar or b"").decode() for option in options}
    assert len(variables) > 30
    others = set(variables) - AUTHORITY
    assert others - DRIVER - LIBPQ_ONLY == set()
    assert {name: VARIABLES.get(name, "") for name in others} == {name: variables[name] for name in others}


def test_parameters_without_a_variable_are_in_a_service_file_of_this_user(tmp_path: Path) -> None:
    address = "postgresql://u:p%23@h:1,h2/d?keepalives=0&sslpassword=x&sslmode=require&search_path=a,%20b&schema=c"
    connection = libpq_connection("dump.dsn", address)
    assert "p#" not in repr(connection)
    environment = connection.environment(tmp_path)
    file = Path(environment.pop("PGSERVICEFILE"))
    assert environment == {
        **{"PGUSER": "u", "PGPASSWORD": "p#", "PGHOST": "h,h2", "PGPORT": "1,", "PGDATABASE": "d"},
        **{"PGSSLMODE": "require", "PGOPTIONS": "-c search_path=a,\\ b", "PGCONNECT_TIMEOUT": "10"},
        "PGSERVICE": "runbookd",
    }
    assert file.read_text() == "[runbookd]\nkeepalives=0\nsslpassword=x\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_address_that_cannot_be_passed_on_is_refused_without_its_values() -> None:
    with pytest.raises(AddressError, match="write keepalives into the service file"):
        libpq_connection("dump.dsn", "postgresql://u@h/d?service=s&keepalives=1")
    with pytest.raises(AddressError, match="a control character is in the address; remove it") as refusal:
        libpq_connection("dump.dsn", "postgresql://u:hunter2%0A@h/d")
    assert "hunter2" not in str(refusal.value)
