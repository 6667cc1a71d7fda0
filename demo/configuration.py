"""Fills addresses, paths and passwords into the demo's configuration templates."""

import json
import sys
from string import Template

from demo.bucket import FOLDER, PATTERN
from demo.credentials import BUCKET, Credentials
from demo.paths import CHECKOUT, DemoPaths, write_private
from demo.ports import Ports
from demo.product.supervisor import STATE_FILE
from tools.toolchain.paths import launcher

DEPLOY = CHECKOUT / "deploy"
TEMPLATES = CHECKOUT / "demo" / "config"
RESTART = CHECKOUT / "demo" / "product" / "restart_service.py"
FILES = ("inventory.yml", "thresholds.yml", "prometheus.yml", "alertmanager.yml")


def template_values(paths: DemoPaths, ports: Ports) -> dict[str, str]:
    """Return the values for the templates. They contain paths of secret files, but no secrets."""
    return {
        "secrets": str(paths.secrets),
        "config": str(paths.config),
        "alert_rules": str(CHECKOUT / "alert_rules"),
        "bucket": BUCKET,
        "backup_folder": FOLDER,
        "backup_pattern": PATTERN,
        "dump_command": json.dumps([str(launcher("pg_dump")), "--format=custom", "--no-password"]),
        "check_command": json.dumps([str(launcher("pg_restore")), "--file=/dev/null"]),
        "programs": str(launcher("pg_restore").parent),
        "alertmanager_url": ports.url("alertmanager"),
        "alertmanager_address": ports.address("alertmanager"),
        "exporter_address": ports.address("exporter"),
        "remediator_address": ports.address("remediator"),
        "remediator_url": ports.url("remediator"),
        "receiver_url": ports.url("receiver"),
        "people_contact": f"json://{ports.address('receiver')}/escalations",
        "upstream_url": ports.url("upstream"),
        "web_address": ports.address("web"),
        "mailer_url": ports.url("mailer"),
        "dead_letters": str(paths.dead_letters),
        "exports": str(paths.exports),
        "mailer_state": json.dumps(["/bin/cat", str(paths.part("mailer") / STATE_FILE)]),
        "mailer_restart": json.dumps([sys.executable, str(RESTART), str(paths.part("mailer"))]),
    }


def write_configuration(paths: DemoPaths, ports: Ports) -> None:
    """Write every configuration file of the demo."""
    values = template_values(paths, ports)
    for name in FILES:
        text = Template((TEMPLATES / name).read_text(encoding="utf-8")).substitute(values)
        write_private(paths.config / name, text)


def redis_acl(credentials: Credentials) -> str:
    """Return the ACL file of Redis, with passwords."""
    passwords = {f"redis_{user}_password": password for user, password in credentials.redis.items()}
    rights = remediator_rights()
    template = Template((TEMPLATES / "redis.acl").read_text(encoding="utf-8"))
    text = template.substitute(passwords, redis_remediator_rights=rights)
    # Redis refuses comments in an ACL file.
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def remediator_rights() -> str:
    """Return the rights of production: those on queues, and in parentheses those on caches, which reach no queue."""
    queues, cache = (
        (DEPLOY / "redis" / f"{name}.acl").read_text(encoding="utf-8").strip().removeprefix("user remediator on ")
        for name in ("remediator-queues", "remediator-cache")
    )
    selector = " ".join(rule for rule in cache.split() if not rule.startswith("reset"))
    return f"{queues} ({selector})"


def env_lines(paths: DemoPaths, ports: Ports) -> str:
    """Return the content of `env`, for scripts: shell lines KEY=value."""
    values = {
        "PG_DSN": paths.secret("postgres_product"),
        "REDIS_URL": paths.secret("redis_product"),
        "S3_URL": ports.url("s3"),
        "PROMETHEUS_URL": ports.url("prometheus"),
        "ALERTMANAGER_URL": ports.url("alertmanager"),
        "EXPORTER_URL": ports.url("exporter"),
        "REMEDIATOR_URL": ports.url("remediator"),
        "WEBHOOK_TOKEN_FILE": str(paths.secrets / "webhook_token"),
        "OPERATOR_TOKEN_FILE": str(paths.secrets / "operator_token"),
        "OPERATOR_PASSWORD_FILE": str(paths.secrets / "operator_password"),
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())
