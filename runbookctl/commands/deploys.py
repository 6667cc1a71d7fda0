"""`deploy` and `predeploy`: report a deploy, and check before it whether the stack is ready."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from runbookctl.options import OutputOption, client_of, console
from runbookctl.printing import answers

if TYPE_CHECKING:
    from runbookctl.prometheus import Sample

_SUBJECTS = ("target", "queue", "host", "volume", "kind", "quantity")  # labels that say what an alert is about

StackArgument = Annotated[str, typer.Argument(metavar="STACK", help="Name of the stack.")]


def deploy(
    context: typer.Context,
    stack: StackArgument,
    version: Annotated[str, typer.Option(help="The version that is deployed.")] = "",
    done: Annotated[bool, typer.Option("--done", help="The deploy has ended.")] = False,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Report that a deploy begins, or with --done that it has ended."""
    state = "done" if done else "started"
    answer = client_of(context).post("/api/v1/deploys", {"stack": stack, "version": version, "state": state})
    answers.print_result(console, answer, output, f"deploy of {stack} {version or '(no version)'}: {state}")


def predeploy(
    context: typer.Context,
    stack: StackArgument,
    prometheus: Annotated[str, typer.Option(envvar="PROMETHEUS_URL", help="Address of Prometheus.")] = (
        "http://127.0.0.1:9090"
    ),
    backup_within: Annotated[str, typer.Option(help="Maximum age of the newest full backup.")] = "1h",
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Check what runbooks require before a deploy: a recent backup, no alerts, endpoints up, no pause."""
    from runbookctl.prometheus import query_all
    from runbookd.inventory import parse_duration

    limit = parse_duration(backup_within).total_seconds()
    pauses = client_of(context).get("/api/v1/pause", {"stack": stack})["pauses"]
    found = query_all(prometheus, _expressions(stack))
    paused = [f"remediation is paused: {pause['reason']}" for pause in pauses]
    reasons = [*_backup_reasons(found["backups"], limit), *_alert_reasons(found), *paused]
    text = "\n".join([f"{stack} is not ready:", *(f"- {reason}" for reason in reasons)])
    ready = f"{stack} is ready: backup, alerts, endpoints and pauses are fine"
    answers.print_result(console, {"ready": not reasons, "reasons": reasons}, output, text if reasons else ready)
    if reasons:
        raise typer.Exit(1)


def _expressions(stack: str) -> Mapping[str, str]:
    quoted = '"' + stack.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return {
        "backups": f'min by (target) (stack_target_kind:backup_age_seconds:min{{stack={quoted},kind="full"}})',
        "alerts": f'ALERTS{{alertstate="firing",stack={quoted},severity=~"critical|warning"}}',
        "probes": f"stack_target:probe_success:max{{stack={quoted}}}",
    }


def _backup_reasons(backups: "Sequence[Sample]", limit: float) -> Iterator[str]:
    if not backups:
        yield "no full backup is measured; check the exporter and the inventory"
    elif min(backup.value for backup in backups) > limit:
        age = min(backup.value for backup in backups)
        yield f"the newest full backup is {age / 3600:.1f} h old, and at most {limit / 3600:.1f} h are allowed"


def _alert_reasons(found: "Mapping[str, Sequence[Sample]]") -> Iterator[str]:
    for alert in found["alerts"]:
        about = ", ".join(alert.labels[name] for name in _SUBJECTS if alert.labels.get(name))
        yield f"{alert.labels['alertname']} ({alert.labels['severity']}) fires{f' for {about}' if about else ''}"
    if not found["probes"]:
        yield "no endpoint is measured; add http targets to the inventory"
    for probe in found["probes"]:
        if probe.value < 1:
            yield f"the endpoint {probe.labels['target']} does not answer as expected"
