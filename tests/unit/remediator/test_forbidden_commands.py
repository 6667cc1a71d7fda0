"""The listed commands are refused in their usual spellings, and what runbooks need is not."""

import shlex

import pytest

from remediator.forbidden_commands import forbidden_parts
from runbookd.inventory.commands import CommandTarget

REFUSED = [
    "/bin/sh -c 'echo hi'",
    "/usr/bin/bash /opt/script",
    "/bin/busybox sh -c x",
    "/usr/bin/env bash -c x",
    "/usr/bin/env -S 'sh -c x'",
    "/usr/bin/sudo -u app /bin/sh -c x",
    "/usr/bin/sudo -s",
    "/usr/bin/timeout 5 python3 -c pass",
    "/usr/bin/python3.12 -Ic pass",
    "/usr/bin/node --eval=1",
    "/usr/bin/node --no-warnings -e 1",
    "/usr/bin/perl -ne print",
    "/usr/bin/awk 'BEGIN{system(1)}'",
    "/usr/bin/docker exec app sh -c x",
    "/usr/bin/kubectl exec deploy/app -- bash -lc x",
    "/usr/bin/ssh host 'sudo dropdb shop'",
    "/bin/su app -c x",
    "/usr/bin/xargs rm",
    "/usr/bin/redis-cli FLUSHALL",
    "/usr/bin/redis-cli -n 1 flushdb async",
    "/usr/bin/redis-cli eval 'redis.call(\"FLUSHDB\")' 0",
    "/usr/bin/redis-cli shutdown nosave",
    "/usr/bin/dropdb shop",
    "/usr/bin/psql -c 'DROP TABLE users'",
    "/usr/bin/psql --command='truncate users'",
    "/usr/bin/psql -c 'vacuum (verbose, full) users'",
    "/usr/bin/psql -c 'VACUUM FULL'",
    "/usr/bin/psql -c 'reindex table users'",
    "/usr/bin/vacuumdb --full shop",
    "/usr/bin/vacuumdb -azf",
    "/usr/bin/reindexdb shop",
    "/usr/bin/pg_restore --dbname=shop dump",
    "/usr/bin/pg_ctl -D /data restart",
    "/bin/systemctl restart postgresql@15-main.service",
    "/bin/systemctl stop redis-server",
    "/usr/bin/docker restart shop-postgres-1",
    "/usr/bin/docker compose -f x.yml restart redis",
    "/usr/bin/kubectl rollout restart statefulset/redis",
    "/usr/bin/docker compose down -v",
    "/usr/bin/docker volume prune -f",
    "/bin/rm -rf /",
    "/bin/rm -fr /var/",
    "/bin/rm --recursive /etc/*",
    "/usr/bin/find / -name x -delete",
    "/bin/chmod -R 777 /var",
    "/sbin/mkfs.ext4 /dev/sda",
    "/bin/dd if=/dev/zero of=/dev/sda",
    "/sbin/reboot",
    "/usr/bin/sudo systemctl poweroff",
    "/usr/bin/kubectl delete namespace shop",
    "/usr/bin/terraform destroy",
    "/usr/bin/aws s3 rm --recursive s3://backups",
    "/usr/bin/npx prisma migrate reset",
    "/usr/bin/npm run db:drop",
    "/usr/bin/npx prisma db push --force-reset",
    "/usr/bin/docker system prune --volumes",
    "/usr/bin/kubectl delete pods --all",
]
ALLOWED = [
    "/usr/local/bin/maintenance off",
    "/usr/local/bin/app shutdown --drain",
    "/usr/bin/vercel promote https://x.example --token-from-env",
    "/usr/bin/kubectl rollout undo deployment/api --to-revision=3",
    "/usr/bin/kubectl rollout restart deployment/api",
    "/usr/bin/docker compose -f /srv/compose.yml up -d --no-deps backend",
    "/usr/bin/docker inspect --format {{.State}} app",
    "/usr/bin/systemctl restart redis-exporter",
    "/usr/bin/python3 /opt/warm_cache.py --eval-size 3",
    "/usr/bin/node /opt/app/rollback.js -e production",
    "/usr/bin/awk -f /opt/report.awk",
    "/usr/bin/psql -f /opt/raise_limit.sql",
    "/usr/bin/psql -c 'REINDEX INDEX CONCURRENTLY users_pkey'",
    "/usr/bin/psql -c 'select 1'",
    "/usr/bin/redis-cli del rl:user",
    "/bin/rm -rf /var/cache/shop",
    "/bin/rm /tmp/flag",
    "/usr/bin/find /var/log/shop -name *.gz -delete",
    "/usr/bin/timeout 5 /opt/app/bin/warm",
    "/usr/bin/npm run db:migrate:rollback",
]


def parts_of(**entry: object) -> list[tuple[str, str]]:
    return list(forbidden_parts(CommandTarget.model_validate(entry)))


@pytest.mark.parametrize("command", REFUSED)
def test_listed_command_is_refused(command: str) -> None:
    assert [key for key, _ in parts_of(argv=shlex.split(command))] == ["argv"]


@pytest.mark.parametrize("command", ALLOWED)
def test_other_command_is_allowed(command: str) -> None:
    assert parts_of(argv=shlex.split(command)) == []


def test_check_and_undo_are_judged_too() -> None:
    entry = {"argv": ["/bin/true"], "check": ["/bin/sh", "-c", "x"], "undo": ["/usr/bin/dropdb", "shop"]}
    assert [key for key, _ in parts_of(**entry)] == ["check", "undo"]


@pytest.mark.parametrize(
    "request_of",
    [
        {"method": "DELETE", "url": "http://search.example:9200/_all"},
        {"method": "DELETE", "url": "http://search.example:9200/"},
        {"method": "GET", "url": "http://169.254.169.254/latest/meta-data"},
        {"method": "POST", "url": "http://redis.example/FLUSHALL"},
        {"method": "POST", "url": "http://sql.example/run", "json": {"statements": ["drop table users"]}},
    ],
)
def test_listed_request_is_refused(request_of: dict[str, object]) -> None:
    assert [key for key, _ in parts_of(**request_of)] == ["url"]


def test_other_request_is_allowed() -> None:
    assert parts_of(method="DELETE", url="https://gates.example/v1/overrides/new_checkout") == []
