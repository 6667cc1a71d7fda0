"""Services of the inventory: one manager each, and references that exist."""

from typing import Any

import pytest
from pydantic import ValidationError

from runbookd.inventory import Stack

COMMAND: dict[str, Any] = {"state": ["/bin/show"], "restart": ["/bin/restart"]}


def problem(service: dict[str, Any], **stack: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Stack.model_validate({"services": {"api": service}, **stack})
    return str(caught.value)


@pytest.mark.parametrize(
    ("service", "text"),
    [
        ({}, "needs exactly one manager of pm2, systemd, docker, command"),
        ({}, "has 0"),
        ({"pm2": {"name": "a"}, "systemd": {"unit": "a.service"}}, "has 2"),
        ({"pm3": {"name": "a"}}, "Unexpected keyword argument"),
        ({"pm2": {"name": "--all"}}, "should match pattern"),
        ({"pm2": {"name": "api; reboot"}}, "should match pattern"),
        ({"pm2": {"name": "api", "home": "/x", "user": "app"}}, "keep one"),
        ({"systemd": {"unit": "api"}}, "should match pattern"),
        ({"systemd": {"unit": "--root=x.service"}}, "should match pattern"),
        ({"docker": {"project": "shop"}}, "project and service belong together"),
        ({"docker": {}}, "needs either project and service (compose), or container"),
        ({"docker": {"container": "../json"}}, "should match pattern"),
        ({"command": {**COMMAND, "restart": ["restart"]}}, "is not an absolute path"),
        ({"command": {**COMMAND, "restart": ["/bin/restart", "a\x00b"]}}, "should match pattern"),
        ({"command": {**COMMAND, "scale": ["/bin/scale"]}}, "no argument has {count}"),
        ({"command": COMMAND, "workers": {"max": 3}}, "add command.scale"),
        ({"systemd": {"unit": "a.service"}, "workers": {"max": 2}}, "a unit of systemd has one instance"),
        ({"pm2": {"name": "a"}, "workers": {"min": 3, "max": 2}}, "max must not be less than min"),
        ({"pm2": {"name": "a"}, "health": "api"}, "services.api.health: there is no http 'api'"),
        ({"pm2": {"name": "a"}, "requires": ["postgres/main"]}, "there is no target 'postgres/main'"),
        ({"pm2": {"name": "a"}, "requires": ["backups/nightly"]}, "there is no target 'backups/nightly'"),
        ({"pm2": {"name": "a"}, "requires": ["services/api"]}, "the service requires itself"),
        ({"pm2": {"name": "a"}, "workers": {"max": 2, "queues": "jobs"}}, "there is no queues 'jobs'"),
        ({"pm2": {"name": "a"}, "timeout": "2h"}, "must be from 1s to 1h"),
    ],
)
def test_unusable_service_is_refused_with_its_remedy(service: dict[str, Any], text: str) -> None:
    assert text in problem(service)


def test_example_of_the_documentation_is_accepted() -> None:
    stack = Stack.model_validate(
        {
            "postgres": {"main": {"dsn": "postgresql://metrics@db/shop"}},
            "redis": {"main": {"url": "redis://cache/0"}},
            "http": {"api": {"url": "https://api.example/health"}},
            "services": {
                "api": {
                    "pm2": {"name": "clientforge-api"},
                    "health": "api",
                    "requires": ["postgres/main", "redis/main", "services/web"],
                    "workers": {"min": 1, "max": 4, "step": 1},
                },
                "web": {
                    "docker": {"project": "clientforge", "service": "frontend"},
                    "config_test": ["nginx", "-t"],
                    "health": "api",
                },
            },
        }
    )
    assert [(each.manager, each.max_processes) for each in stack.services.values()] == [("pm2", 4), ("docker", 1)]
