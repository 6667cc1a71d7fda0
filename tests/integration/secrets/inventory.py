"""An inventory with a secret in every place that can hold one, each at a server that fails in its own way."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import yaml

from runbookd.inventory.password_files import MIN_COST
from tests.integration.secrets.planted import Secrets, escaped

REMEDIATIONS = {
    "postgres": "terminate_idle_transactions",
    "queues": "retry_failed_jobs",
    "backups": "run_backup",
    "commands": "http_call",
}


@dataclass(frozen=True)
class Places:
    """Ports: two that repeat everything, one that hangs up, a real server each, and one behind a cutting proxy."""

    echo: int
    mail: int
    hangs_up: int
    postgres: int
    redis: int
    cut_postgres: int
    cut_redis: int

    def named(self, real: str) -> Mapping[str, int]:
        """Return the ports for targets of one kind, by the fault."""
        others = {"postgres": (self.postgres, self.cut_postgres), "redis": (self.redis, self.cut_redis)}[real]
        return {"refused": 1, "echo": self.echo, "hangs_up": self.hangs_up, "wrong": others[0], "cut": others[1]}


class PlantedInventory:
    """The inventory as a map, written with the files that it names into one folder."""

    def __init__(self, folder: Path, places: Places) -> None:
        self.secrets = Secrets()
        self._folder, self._places = folder, places
        self.operators_token = self.secrets.word("operator's token")
        self.operators_password = self.secrets.word("operator's password")
        self.document = self._document()

    def write(self) -> Path:
        """Write the inventory and return its file."""
        file = self._folder / "inventory.yml"
        file.write_text(yaml.safe_dump(self.document, sort_keys=False))
        return file

    def file(self, name: str, text: str) -> str:
        """Write a file of a secret and return its path."""
        file = self._folder / name
        file.write_text(text)
        file.chmod(0o600)
        return str(file)

    def _document(self) -> dict[str, Any]:
        stack = {
            "postgres": dict(self._postgres()),
            "redis": dict(self._redis()),
            "http": dict(self._http()),
            "backups": dict(self._backups()),
            "commands": dict(self._commands()),
            "escalation": {"first": {"contacts": ["collect", *self._contacts()]}},
            "remediations": {name: {"mode": "auto", "cooldown": "0s"} for name in REMEDIATIONS.values()},
        }
        stack["queues"] = {name: {"redis": name, "refresh": "1s"} for name in stack["redis"]}
        alertmanager = f"http://{self._login('alertmanager.url')}127.0.0.1:{self._places.echo}/401/?token="
        return {
            "alertmanager": {"url": alertmanager + self.secrets.word("query of alertmanager.url")},
            "operators": {"oncall": self._operator()},
            "contacts": {**self._contacts(), "collect": {"url": f"json://127.0.0.1:{self._places.echo}/messages"}},
            "stacks": {"shop": stack},
        }

    def _operator(self) -> dict[str, str]:
        password = bcrypt.hashpw(self.operators_password.encode(), bcrypt.gensalt(MIN_COST)).decode()
        files = {"token_file": self.operators_token, "password_file": password}
        return {key: self.file(f"operator's {key}", text) for key, text in files.items()}

    def _login(self, place: str) -> str:
        return f"{self.secrets.word(f'user of {place}')}:{escaped(self.secrets.password(place))}@"

    def _postgres(self) -> Any:
        addresses = {
            name: f"postgresql://metrics:{{password}}@127.0.0.1:{port}/postgres"
            for name, port in self._places.named("postgres").items()
        }
        echo = self._places.echo
        addresses |= {
            "tls": f"postgresql://metrics:{{password}}@127.0.0.1:{echo}/postgres?sslmode=require",
            "keywords": f"host=127.0.0.1 port={echo} user=metrics password='{{raw}}' dbname=postgres",
            "jdbc": f"jdbc:postgresql://127.0.0.1:{echo}/postgres?user=metrics&password={{password}}",
            "unescaped": f"postgresql://metrics:{{raw}}@127.0.0.1:{echo}/postgres",
            "port": "postgresql://metrics:{password}@127.0.0.1:99999/postgres",
            "unknown": f"postgresql://metrics:{{password}}@127.0.0.1:{echo}/postgres?unknown={{word}}",
            "value": f"postgresql://metrics:{{password}}@127.0.0.1:{echo}/postgres?sslmode={{word}}",
            "driver": f"postgresql://metrics:{{password}}@127.0.0.1:{echo}/postgres?connect_timeout={{word}}",
            "key": f"postgresql://metrics:{{password}}@127.0.0.1:{echo}/postgres?sslmode=require&sslkey={{key}}"
            "&sslcert={key}&sslpassword={password}",
            "nonsense": "{raw}",
            "database": f"postgresql://metrics:{{password}}@127.0.0.1:{self._places.postgres}/nowhere",
        }
        return self._targets("postgres", addresses, "dsn", "admin_dsn")

    def _redis(self) -> Any:
        addresses = {
            name: f"redis://metrics:{{password}}@127.0.0.1:{port}/0"
            for name, port in self._places.named("redis").items()
        }
        echo = self._places.echo
        addresses |= {
            "tls": f"rediss://:{{password}}@127.0.0.1:{echo}/0",
            "token": f"redis://127.0.0.1:{echo}/0?password={{password}}",
            "unescaped": f"redis://:{{raw}}@127.0.0.1:{echo}/0",
            "port": "redis://:{password}@127.0.0.1:99999/0",
            "unknown": f"redis://:{{password}}@127.0.0.1:{echo}/0?unknown={{word}}",
            "path": f"redis://:{{password}}@127.0.0.1:{echo}/cache",
            "value": f"rediss://:{{password}}@127.0.0.1:{echo}/0?ssl_cert_reqs={{word}}",
            "key": f"rediss://:{{password}}@127.0.0.1:{echo}/0?ssl_keyfile={{key}}&ssl_certfile={{key}}",
            "nonsense": "{raw}",
        }
        return self._targets("redis", addresses, "url", "admin_url")

    def _http(self) -> Any:
        echo = self._places.echo
        addresses = {
            f"status_{status}": f"http://{{word}}:{{password}}@127.0.0.1:{echo}/{status}?token={{word}}"
            for status in ("401", "403", "500", "cut")
        }
        addresses |= {
            "refused": "http://{word}:{password}@127.0.0.1:1/?token={word}",
            "hangs_up": f"http://{{word}}:{{password}}@127.0.0.1:{self._places.hangs_up}/?token={{word}}",
            "tls": f"https://{{word}}:{{password}}@127.0.0.1:{echo}/?token={{word}}",
            "unescaped": f"http://{{word}}:{{raw}}@127.0.0.1:{echo}/401",
            "port": "http://{word}:{password}@127.0.0.1:99999/?token={word}",
            "no_host": "http://{word}:{password}@/?token={word}",
            "name": "http://{word}:{password}@no-such-host.invalid/?token={word}",
        }
        return self._targets("http", addresses, "url")

    def _targets(self, kind: str, addresses: Mapping[str, str], *keys: str) -> Any:
        """Yield each target twice: with its addresses in place, and in files."""
        for name, address in addresses.items():
            for source in ("", "_file"):
                yield (
                    f"{name}{source}",
                    {f"{key}{source}": self._address(f"{kind}.{name}.{key}{source}", address, source) for key in keys},
                )

    def _address(self, place: str, address: str, source: str) -> str:
        key = self.file(f"{place}.pem", f"-----BEGIN PRIVATE KEY-----\n{self.secrets.word(f'key file of {place}')}\n")
        password = self.secrets.password(place)
        word = self.secrets.word(f"a part of {place}")
        text = address.format(password=escaped(password), raw=password, word=word, key=key)
        return self.file(place, text) if source else text

    def _backups(self) -> Any:
        echo = self._places.echo
        endpoints = {
            **{
                f"status_{status}": f"http://127.0.0.1:{echo}/{status}"
                for status in ("401", "403", "500", "200", "cut")
            },
            "refused": "http://127.0.0.1:1",
            "hangs_up": f"http://127.0.0.1:{self._places.hangs_up}",
            "tls": f"https://127.0.0.1:{echo}",
            "login": "http://{login}127.0.0.1:1",
            "malformed": "http://{login}127.0.0.1:99999",
        }
        for name, endpoint in endpoints.items():
            login = self._login(f"endpoint of backups.{name}")
            options = self._options(name, endpoint.format(login=login))
            dump = {"dsn": f"postgresql://dumper:{escaped(self.secrets.password(name))}@127.0.0.1:{echo}/postgres"}
            yield name, {"url": "s3://bucket/db/", "pattern": "%Y%m%d.dump", "options": options, "dump": dump}
        yield "drill", self._drilled()
        file = self.file("options.yml", yaml.safe_dump(self._options("file", f"http://127.0.0.1:{echo}/403")))
        yield "file", {"url": "s3://bucket/", "pattern": "%Y%m%d", "options_file": file, "admin_options_file": file}
        broken = self.file("broken.yml", f"aws_secret_access_key: *{self.secrets.word('broken options_file')}\n")
        yield "broken", {"url": "s3://bucket/", "pattern": "%Y%m%d", "options_file": broken}
        unknown = self._options("unknown", "http://127.0.0.1:1") | {
            "unknown_option": self.secrets.word("unknown option")
        }
        yield "unknown", {"url": "s3://bucket/", "pattern": "%Y%m%d", "options": unknown}
        yield "url", {"url": f"s3://{self._login('backups.url')}bucket/", "pattern": "%Y%m%d"}
        for name, place in {"401": f"{echo}/401", "refused": "1/", "port": "99999/"}.items():
            url = f"http://{self._login(f'report {name}')}127.0.0.1:{place}?token={self.secrets.word('report.url')}"
            yield f"report_{name}", {"report": {"format": "restic", "url": url}}

    def _drilled(self) -> dict[str, Any]:
        """Return backups with a scratch server and a damaged private key."""
        dsn = f"postgresql://{self._login('drill.dsn')}127.0.0.1:2/postgres"
        drill = {"dsn": dsn, "postgres": "tls", "max_bytes": "1GiB"}
        key = self.file("identity", f"AGE-SECRET-KEY-1{self.secrets.word('decrypt.identity_file')}\n")
        place = {"url": "s3://bucket/", "pattern": "%Y%m%d", "options": self._options("drill", "http://127.0.0.1:1")}
        return {**place, "drill": drill, "decrypt": {"identity_file": key}}

    def _commands(self) -> Any:
        for place in ("401", "500", "200", "cut"):
            for source in ("headers", "headers_file"):
                headers = {"Authorization": f"Bearer {self.secrets.word(f'{source} of a request')}"}
                text = yaml.safe_dump(headers)
                yield (
                    f"request_{place}{source.removeprefix('headers')}",
                    {
                        "method": "POST",
                        "url": f"http://127.0.0.1:{self._places.echo}/{place}",
                        "keep_body": True,
                        source: headers if source == "headers" else self.file(f"request_{place}", text),
                    },
                )

    def _options(self, name: str, endpoint: str) -> dict[str, str]:
        return {
            "aws_endpoint": endpoint,
            "aws_allow_http": "true",
            "aws_region": "us-east-1",
            "aws_access_key_id": self.secrets.word(f"key ID of backups.{name}"),
            "aws_secret_access_key": self.secrets.password(f"key of backups.{name}"),
            "aws_session_token": self.secrets.word(f"session token of backups.{name}"),
        }

    def _contacts(self) -> dict[str, Any]:
        if not hasattr(self, "_made"):
            self._made = dict(self._make_contacts())
        return self._made

    def _make_contacts(self) -> Any:
        echo = self._places.echo
        addresses = {
            **{
                f"json_{status}": f"json://{{login}}127.0.0.1:{echo}/{status}"
                for status in ("401", "403", "500", "cut")
            },
            "refused": "json://{login}127.0.0.1:1/?+X-Token={word}",
            "hangs_up": f"json://{{login}}127.0.0.1:{self._places.hangs_up}/?+X-Token={{word}}&:token={{word}}",
            "tls": f"jsons://{{login}}127.0.0.1:{echo}/",
            "mail": f"mailto://{{login}}127.0.0.1:{self._places.mail}?from=a@b.example&to=c@d.example&smtp=127.0.0.1",
            "ntfy": f"ntfy://{{login}}127.0.0.1:{echo}/topic",
            "malformed": "slack://{word}/{word}",
            "nonsense": "{word}",
            "web": f"http://{{login}}127.0.0.1:{echo}/{{word}}",
        }
        for name, address in addresses.items():
            login, word = self._login(f"contact {name}"), self.secrets.word(f"contact {name}")
            text = address.format(login=login, word=word)
            yield name, {"url_file": self.file(f"contact_{name}", text)} if name == "json_401" else {"url": text}
