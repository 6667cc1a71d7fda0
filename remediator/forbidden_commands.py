"""Commands that the inventory may not have: a guard rail against mistakes, and no proof.

A script that the inventory names may do all of it. docs/reference/never.md shows the list.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from runbookd.inventory.commands import CommandEntry, CommandTarget, RequestEntry
from runbookd.inventory.requests import Call

SHELLS = frozenset(
    {"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "rbash", "pwsh", "powershell"}
)
# Programs that start another one, which their arguments name.
WRAPPERS = frozenset(
    {
        "busybox",
        "chroot",
        "chrt",
        "doas",
        "docker",
        "docker-compose",
        "dumb-init",
        "env",
        "find",
        "flock",
        "gosu",
        "ionice",
        "kubectl",
        "nice",
        "nohup",
        "nsenter",
        "oc",
        "podman",
        "runuser",
        "setsid",
        "ssh",
        "stdbuf",
        "strace",
        "su",
        "su-exec",
        "sudo",
        "systemd-run",
        "taskset",
        "time",
        "timeout",
        "tini",
        "unshare",
    }
)
INTERPRETERS = re.compile(r"(python|perl|ruby|node|nodejs|bun|deno|php|lua|luajit|tclsh|osascript|pypy)[\d.]*")
# Options with which an interpreter takes its program from the command line, alone or at the end of a group as in -Ic.
_CODE = re.compile(r"-[A-Za-z]*[ceEpr]|--(eval|print|run|command|exec)(=.*)?|eval")
_SHELL_CODE = re.compile(r"-[A-Za-z]*c[A-Za-z]*|--command(=.*)?")
DATABASE_SERVERS = re.compile(
    r"(.*[/-])?(postgres|postgresql|pgsql|redis|valkey|keydb|mysql|mysqld|mariadb|mongod|mongodb|elasticsearch|opensearch)"
    r"(?!.*exporter)([-@.\d].*)?",
    re.IGNORECASE,
)
_TOP_FOLDER = re.compile(r"/+(\.?|\*|[^/]+/*\*?)|~/?\*?|\.{1,2}/?|\*")  # /, /*, /etc, /var/*, ~, ., ..
_SQL = re.compile(
    r"\b(drop\s+(database|schema|table|role|user|owned|tablespace|extension|index(?!\s+concurrently))"
    r"|truncate\b|vacuum\s*(\([^)]*)?\bfull\b|cluster\s+\w|alter\s+system"
    r"|reindex\s+(?!(\([^)]*\)\s*)?(index|table|schema|database|system)\s+concurrently)|dropDatabase)",
    re.IGNORECASE,
)
_SCHEMA_RESET = re.compile(
    r"(?<![\w-])(db:drop|db:reset|db:migrate:reset|migrate[ :]reset|--force-reset|--accept-data-loss)\b", re.IGNORECASE
)
_FLUSH = re.compile(r"\bflush(all|db)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Rule:
    """One thing that is refused: its name for operators, and whether `words` (a program and its arguments) are it."""

    name: str
    matches: Callable[[Sequence[str]], bool]


def _program(words: Sequence[str]) -> str:
    return PurePosixPath(words[0]).name.lower()


def _runs(*programs: str) -> Callable[[Sequence[str]], bool]:
    return lambda words: _program(words) in programs


def _has(words: Sequence[str], *texts: str) -> bool:
    return not set(texts).isdisjoint(word.lower() for word in words[1:])


def _options(words: Sequence[str], letters: str, *long: str) -> bool:
    """Return whether one of the short options `letters`, also in a group as -rf, or one of the long ones is given."""
    short = re.compile(rf"-[A-Za-z]*[{letters}][A-Za-z]*")
    return any(short.fullmatch(word) or word.partition("=")[0] in long for word in words[1:])


def _is_shell(words: Sequence[str]) -> bool:
    return _program(words) in SHELLS or (_program(words) == "busybox" and _has(words, *SHELLS))


def _is_shell_within(words: Sequence[str]) -> bool:
    """Return whether a later word is a shell that gets a text, as after env, sudo, nohup, docker exec or ssh."""
    return _program(words) in SHELLS and len(words) > 1 and _SHELL_CODE.fullmatch(words[1]) is not None


def _is_code(words: Sequence[str]) -> bool:
    if INTERPRETERS.fullmatch(_program(words)) is None:
        return _program(words) in ("awk", "gawk", "mawk", "nawk") and not _options(words, "f", "--file")
    options = list(words[1:])
    script = next((number for number, word in enumerate(options) if not word.startswith("-")), len(options))
    return any(_CODE.fullmatch(word) for word in options[: script + 1])


def _is_text_runner(words: Sequence[str]) -> bool:
    program = _program(words)
    if program in ("xargs", "parallel", "watch", "eval", "expect"):
        return True
    if program in ("su", "runuser", "script", "sg"):
        return _options(words, "c", "--command")
    if program == "env":
        return _options(words, "S", "--split-string")
    return program in ("sudo", "doas") and _options(words[:3], "si", "--shell", "--login")


def _is_removal(words: Sequence[str]) -> bool:
    if _program(words) == "find":
        return any(_TOP_FOLDER.fullmatch(word) for word in words[1:2]) and _has(words, "-delete", "rm", "/bin/rm")
    if _program(words) not in ("rm", "unlink", "srm", "shred"):
        return False
    recursive = _options(words, "rR", "--recursive", "--no-preserve-root")
    return recursive and any(_TOP_FOLDER.fullmatch(word) for word in words[1:])


def _is_right_change(words: Sequence[str]) -> bool:
    changes = _program(words) in ("chmod", "chown", "chgrp", "setfacl")
    return changes and _options(words, "R", "--recursive") and any(_TOP_FOLDER.fullmatch(word) for word in words[1:])


def _is_disk_change(words: Sequence[str]) -> bool:
    program = _program(words)
    tools = ("wipefs", "fdisk", "sfdisk", "parted", "sgdisk", "blkdiscard", "lvremove", "vgremove", "zpool", "zfs")
    return (
        program.startswith("mkfs")
        or program in tools
        or (program == "dd" and any(word.startswith("of=/dev/") for word in words))
    )


def _is_machine_stop(words: Sequence[str]) -> bool:
    program = _program(words)
    if program in ("init", "telinit"):
        return _has(words, "0", "1", "6")
    stops = ("reboot", "poweroff", "halt", "kexec", "rescue", "emergency", "isolate")
    if program == "kill":
        return "-1" in words[2:]
    return program in ("shutdown", "reboot", "poweroff", "halt", "killall5") or (
        program == "systemctl" and _has(words, *stops)
    )


def _is_server_stop(words: Sequence[str]) -> bool:
    """Return whether a database or Redis server would be stopped or restarted."""
    program, verbs = _program(words), ("restart", "stop", "kill", "try-restart", "mask", "down", "rm", "delete")
    if program in ("pg_ctl", "pg_ctlcluster"):
        return _has(words, *verbs, "promote")
    if program in ("redis-cli", "valkey-cli", "keydb-cli", "mysqladmin"):
        return _has(words, "shutdown", "drop")
    if program in (
        "kubectl",
        "oc",
        "systemctl",
        "service",
        "docker",
        "docker-compose",
        "podman",
        "pm2",
        "rc-service",
        "killall",
        "pkill",
    ):
        acts = program in ("killall", "pkill") or _has(words, *verbs)
        return acts and any(DATABASE_SERVERS.fullmatch(word) for word in words[1:])
    return False


def _is_volume_removal(words: Sequence[str]) -> bool:
    if _program(words) not in ("docker", "docker-compose", "podman", "podman-compose"):
        return False
    if _has(words, "down") and _options(words, "v", "--volumes"):
        return True
    return (_has(words, "volume") and _has(words, "rm", "remove", "prune")) or (
        _has(words, "system") and _has(words, "prune") and _has(words, "--volumes")
    )


def _is_cluster_removal(words: Sequence[str]) -> bool:
    program = _program(words)
    if program in ("terraform", "tofu", "pulumi"):
        return _has(words, "destroy", "-destroy")
    objects = ("namespace", "namespaces", "ns", "pv", "pvc", "persistentvolume", "persistentvolumeclaim", "crd", "node")
    return (
        program in ("kubectl", "oc")
        and _has(words, "delete")
        and (_has(words, *objects) or _has(words, "--all", "--all-namespaces"))
    )


def _is_bucket_removal(words: Sequence[str]) -> bool:
    program = _program(words)
    if program == "aws":
        return _has(words, "rb") or (_has(words, "rm") and _has(words, "--recursive"))
    if program in ("gsutil", "mc"):
        return _has(words, "rb") or (_has(words, "rm") and _options(words, "r", "--recursive"))
    return program == "rclone" and _has(words, "purge", "delete", "deletefile", "sync")


def _is_database_removal(words: Sequence[str]) -> bool:
    program = _program(words)
    if program in ("dropdb", "dropuser", "initdb", "pg_resetwal", "pg_rewind"):
        return True
    return program == "pg_restore" and _options(words, "dcC", "--dbname", "--clean", "--create")


def _is_locking_maintenance(words: Sequence[str]) -> bool:
    program = _program(words)
    if program == "vacuumdb":
        return _options(words, "f", "--full")
    return program == "clusterdb" or (program == "reindexdb" and not _has(words, "--concurrently"))


def _is_schema_reset(words: Sequence[str]) -> bool:
    return _SCHEMA_RESET.search(" ".join(words)) is not None


# Asked of the whole command.
_WHOLE = (
    Rule("a shell (sh, bash, dash, zsh, fish, pwsh, …), also with a script: name the script itself", _is_shell),
    Rule("FLUSHALL or FLUSHDB of Redis, in any argument", lambda words: any(map(_FLUSH.search, words))),
    Rule(
        "SQL in any argument: DROP, TRUNCATE, VACUUM FULL, CLUSTER, ALTER SYSTEM, REINDEX without CONCURRENTLY",
        lambda words: any(map(_SQL.search, words)),
    ),
    Rule("a reset of a schema (db:drop, db:reset, migrate reset, --force-reset, --accept-data-loss)", _is_schema_reset),
)
# Asked of each program that the command starts, so that env, sudo, timeout, docker exec or ssh before it hide nothing.
_PROGRAMS = (
    Rule("a shell with a text (sh -c …), also behind another program", _is_shell_within),
    Rule("an interpreter with a program on the command line (python -c, node -e, perl -e, php -r, awk, …)", _is_code),
    Rule(
        "a program that runs a text as a command (su -c, env -S, sudo -s, xargs, parallel, watch, script -c)",
        _is_text_runner,
    ),
    Rule("dropdb, dropuser, initdb, pg_resetwal, pg_rewind, or pg_restore into a database", _is_database_removal),
    Rule("vacuumdb --full, clusterdb, or reindexdb without --concurrently", _is_locking_maintenance),
    Rule(
        "a stop or restart of a database or Redis server (pg_ctl, systemctl, docker, pm2, redis-cli shutdown)",
        _is_server_stop,
    ),
    Rule("a recursive rm, or a find that deletes, of / or a folder directly below it, of ~, . or *", _is_removal),
    Rule("a recursive chmod, chown, chgrp or setfacl of such a folder", _is_right_change),
    Rule("a change of disks (mkfs, wipefs, fdisk, parted, dd of=/dev/…, lvremove, zpool, zfs)", _is_disk_change),
    Rule("a stop of the machine (shutdown, reboot, poweroff, halt, init 0, kill -1)", _is_machine_stop),
    Rule(
        "removal of container volumes (docker compose down -v, docker volume rm, docker system prune --volumes)",
        _is_volume_removal,
    ),
    Rule("kubectl delete of namespaces, volumes, nodes or --all, and terraform destroy", _is_cluster_removal),
    Rule(
        "removal of whole buckets or folders in object storage (aws s3 rb, rm --recursive, rclone purge)",
        _is_bucket_removal,
    ),
)
_REQUESTS = (
    "a request to the address of cloud credentials (169.254.169.254, metadata.google.internal)",
    "a DELETE of the root, of _all or of * (whole indexes of a search server)",
    "a request with FLUSHALL, FLUSHDB or such SQL in its address, query or JSON",
)


def forbidden_names() -> Sequence[str]:
    """Return what is refused, for the documentation."""
    return [rule.name for rule in (*_WHOLE, *_PROGRAMS)] + list(_REQUESTS)


def forbidden_parts(entry: CommandTarget) -> Iterator[tuple[str, str]]:
    """Yield the key of each part of an entry that is refused, and what it is."""
    if isinstance(entry, CommandEntry):
        for key, arguments in entry.programs():
            if (name := forbidden_program(arguments)) is not None:
                yield key, name
    if isinstance(entry, RequestEntry):
        for key, call in entry.calls():
            if (name := _forbidden_call(call)) is not None:
                yield f"{key}.url" if key else "url", name


def is_database_server(name: str) -> bool:
    """Return whether a service of this name is a database or Redis server, as far as a name can tell."""
    return DATABASE_SERVERS.fullmatch(name) is not None or name.removesuffix(".service").lower() in ("db", "database")


def forbidden_program(arguments: Sequence[str]) -> str | None:
    """Return what a command is that is refused, or None."""
    refused = [rule for rule in _WHOLE if rule.matches(arguments)]
    refused += [rule for rule in _PROGRAMS if any(rule.matches(each) for each in _started(arguments))]
    return refused[0].name if refused else None


def _started(arguments: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the command, and each end of it that a wrapper could start; ssh also splits an argument into words."""
    yield arguments
    if _program(arguments) in WRAPPERS:
        words = [word for argument in arguments for word in argument.split()]
        yield from (words[start:] for start in range(1, len(words)))


def _forbidden_call(call: Call) -> str | None:
    _, host, _ = call.origin
    if host in ("169.254.169.254", "metadata.google.internal", "fd00:ec2::254"):
        return _REQUESTS[0]
    path = "/" + call.url.split("://", 1)[1].partition("/")[2]
    if call.method == "DELETE" and path.strip("/") in ("", "*", "_all", "%2A"):
        return _REQUESTS[1]
    texts = list(_texts([path.replace("%20", " "), list(call.query.values()), call.json_body]))
    return _REQUESTS[2] if any(_FLUSH.search(text) or _SQL.search(text) for text in texts) else None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
