"""Checks the keys of encrypted backups, and that no drill can reach a server of a product."""

from collections.abc import Iterator, Mapping

from remediator.clients.age import IdentityError, public_keys
from runbookd.addresses import AddressError
from runbookd.addresses.postgres import PostgresAddress, read_postgres_address
from runbookd.inventory import BackupTarget, Inventory, Secret, SecretError, Stack
from runbookd.inventory.secret_check import secret_problems
from runbookd.service import ConfigFinding

_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1", "[::1]"})
_PORT = "5432"


def backup_findings(path: tuple[str, ...], backup: BackupTarget) -> Iterator[ConfigFinding]:
    """Report secrets of encryption and drill that cannot be read, and a key that opens no new backup."""
    if backup.drill is not None:
        for key, reason in secret_problems(backup.drill.dsn_secret(), read_postgres_address):
            yield ConfigFinding((*path, "drill", key), reason)
    if backup.decrypt is None:
        return
    place = (*path, "decrypt", "identity_file")
    try:
        keys = public_keys(backup.decrypt.identity_secret().read())
    except (SecretError, IdentityError) as error:
        yield ConfigFinding(place, str(error).removeprefix("decrypt.identity_file: "))
        return
    recipients = backup.encrypt.recipients if backup.encrypt is not None else ()
    if recipients and not set(keys) & set(recipients):
        yield ConfigFinding(
            place, f"opens none of encrypt.recipients; add the public key of an identity in it: {keys[0]}"
        )


def drill_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report each drill whose address is that of a product: it would fill, and could overwrite, what it protects."""
    products = dict(_product_addresses(inventory))
    for stack_name, stack in inventory.stacks.items():
        for name, backup in stack.backups.items():
            if backup.drill is None or (drill := _read(backup.drill.dsn_secret())) is None:
                continue
            path = ("stacks", stack_name, "backups", name, "drill", "dsn")
            for place, product in products.items():
                if reason := _conflict(drill, product, same_server=backup.drill.same_server is not None):
                    yield ConfigFinding(path, f"{reason} as {place}; give drills a server and a role of their own")
                    break


def _conflict(drill: PostgresAddress, product: PostgresAddress, *, same_server: bool) -> str | None:
    if not _places(drill) & _places(product):
        return None
    if not same_server:
        return "leads to the same server"
    return "has the same role" if drill.user == product.user else None


def _product_addresses(inventory: Inventory) -> Iterator[tuple[str, PostgresAddress]]:
    for stack_name, stack in inventory.stacks.items():
        for place, secret in _secrets_of(stack).items():
            if (address := _read(secret)) is not None:
                yield f"stacks.{stack_name}.{place}", address


def _secrets_of(stack: Stack) -> Mapping[str, Secret]:
    secrets = {f"postgres.{name}.dsn": target.dsn_secret() for name, target in stack.postgres.items()}
    secrets |= {f"postgres.{name}.admin_dsn": target.admin_dsn_secret() for name, target in stack.postgres.items()}
    dumps = {name: target.dump for name, target in stack.backups.items() if target.dump is not None}
    return secrets | {f"backups.{name}.dump.dsn": dump.dsn_secret() for name, dump in dumps.items()}


def _read(secret: Secret) -> PostgresAddress | None:
    """Return the address; one that cannot be read now is reported where it belongs."""
    try:
        return read_postgres_address(secret.read())
    except (SecretError, AddressError):
        return None


def _places(address: PostgresAddress) -> set[tuple[str, str]]:
    """Return the hosts with their ports; all names of this machine are one."""
    return {_place(host) for host in address.hosts.split(",")}


def _place(host: str) -> tuple[str, str]:
    name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", _PORT)
    name = name.lower().rstrip(".")
    return ("localhost" if name in _LOCAL or name.startswith(("/", "%2f")) else name, port)
