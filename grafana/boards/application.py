"""The board of the application and its hosts, from the series that alert_rules/adapters/ make of their own metrics."""

from grafana.dashboard import board
from grafana.panels import graph, limits, query, row, states, timeline, wide
from grafana.words import STACK

EACH = "{{stack}}"
HOST = "{{stack}} {{host}}"
APPLICATION = "not measured: scrape the application's /metrics with the label stack"
NODE = "not measured: scrape node_exporter or windows_exporter with the label stack"
GOOD = states({0: ("bad", "red"), 1: ("good", "green")})

TRAFFIC = row(
    "Traffic",
    8,
    graph(
        "Requests",
        "Requests per second. If they jump, look for a campaign, a loop or an attack; if they fall to nothing, users do"
        " not reach the application.",
        [query(f"stack:application_requests_per_second:rate{STACK}", EACH)],
        unit="reqps",
        missing=APPLICATION,
        alerts=["HighRequestRate"],
    ),
    graph(
        "Error ratio",
        "Share of requests that fail with 500 or above. Above a limit, look at what changed last (blue lines are"
        " deploys); above the rollback limit for ten minutes, roll back.",
        [
            query(f"stack:application_error_ratio:ratio{STACK}", EACH),
            limits("application_error_ratio", "application_rollback_error_ratio"),
        ],
        unit="percentunit",
        least_top=0.01,
        missing=APPLICATION,
        alerts=["HighErrorRate"],
    ),
    graph(
        "Rise since the deploy",
        "Rise of the error ratio and of the response time over what they were before the newest deploy. If one passes"
        " its limit, roll back: the old release was better.",
        [
            query(f"stack:application_error_ratio_rise:difference{STACK}", f"{EACH} errors"),
            query(f"stack:application_response_p95_rise_ratio:ratio{STACK}", f"{EACH} response time", "TIME"),
            limits("application_error_ratio_rise", "application_response_p95_rise_ratio"),
        ],
        unit="percentunit",
        least_top=0.01,
        missing=APPLICATION,
        alerts=["RollbackCriteriaMet"],
    ),
    graph(
        "Response time",
        "95th percentile and mean over five minutes. Above a limit, compare with the database's queries and the hosts"
        " below: the slowest of them is the cause.",
        [
            query(f"stack:application_response_p95_seconds:quantile{STACK}", f"{EACH} p95"),
            query(f"stack:application_response_mean_seconds:mean{STACK}", f"{EACH} mean", "MEAN"),
            limits("application_response_p95_seconds", "application_response_mean_seconds"),
        ],
        unit="s",
        missing=APPLICATION,
        alerts=["HighResponseTime"],
    ),
    graph(
        "Database query time",
        "95th percentile of the application's database queries. Above the limit, open the statements on the board of"
        " PostgreSQL.",
        [
            query(f"stack:application_database_query_p95_seconds:quantile{STACK}", EACH),
            limits("application_database_query_p95_seconds"),
        ],
        unit="s",
        missing="not measured: the application exports no histogram of its queries",
        alerts=["DatabaseQueryTimeHigh"],
    ),
    graph(
        "Errors per hour",
        "Errors that the application or the error tracker counted within an hour, caught or not. Above a limit, open"
        " the tracker and sort by new.",
        [
            query(f"stack:application_errors_per_hour:increase1h{STACK}", EACH),
            limits("application_errors_per_hour"),
        ],
        unit="short",
        missing="not measured: neither app_errors_total nor errors_per_hour in numbers of the inventory",
        alerts=["ApplicationErrorsHigh"],
    ),
    width=8,
)

BUSINESS = row(
    "Limiter, payments, services",
    8,
    graph(
        "Limiter and payments",
        "Requests that the limiter rejected and gate checks without an answer, per second, and the share of failed"
        " payments. If payments fail, call the provider's status page first.",
        [
            query(f"stack:application_rate_limit_rejections:rate{STACK}", f"{EACH} rejected"),
            query(f"stack:application_feature_gate_failures:rate{STACK}", f"{EACH} gates", "GATES"),
            query(f"stack:application_payment_failure_ratio:ratio{STACK}", f"{EACH} payments", "PAYMENTS"),
            limits(
                "application_rate_limit_rejections",
                "application_feature_gate_failures",
                "application_payment_failure_ratio",
            ),
        ],
        unit="short",
        missing="not measured: the application exports none of these counters",
        alerts=["RateLimitRejections", "FeatureGateFailures", "PaymentFailures"],
    ),
    timeline(
        "Endpoints and services",
        "Every endpoint, service, process and search cluster, and whether the limiter is on and maintenance off. If a"
        " row turns red, its alert names the fix; `restart_service` proves that the service is healthy afterwards.",
        [
            query(f"stack_target:probe_success:max{STACK}", "{{stack}} endpoint {{target}}"),
            query(f"stack_target:service_up:max{STACK}", "{{stack}} service {{target}}", "SERVICES"),
            query(f"stack_host:application_up:max{STACK}", "{{stack}} process {{host}}", "PROCESSES"),
            query(f"stack_target:elasticsearch_up:max{STACK}", "{{stack}} search {{target}} answers", "SEARCH"),
            query(f"1 - stack_target:elasticsearch_red:max{STACK}", "{{stack}} search {{target}} complete", "RED"),
            query(f"stack:application_rate_limiting_enabled:min{STACK}", "{{stack}} limiter on", "LIMITER"),
            query(f"1 - stack:application_maintenance_mode:max{STACK}", "{{stack}} maintenance off", "MAINTENANCE"),
        ],
        mappings=GOOD,
        alerts=[
            "HealthCheckFailing",
            "ServiceUnhealthy",
            "ProcessDown",
            "RateLimitingDisabled",
            "MaintenanceModeLeftOn",
        ],
    ),
    graph(
        "Restarts and kills",
        "Starts of each process within an hour, and processes that the kernel killed for memory within a quarter. If"
        " there is more than one start, it crashes: read the end of its log before the next restart hides it.",
        [
            query(f"stack_host:application_restarts:changes1h{STACK}", HOST),
            query(f"stack_host:host_oom_kills:increase15m{STACK}", f"{HOST} killed", "KILLED"),
            limits("application_restarts", "host_oom_kills"),
        ],
        unit="short",
        missing=APPLICATION,
        alerts=["ProcessRestarting", "OutOfMemoryKill"],
    ),
)

HOSTS = row(
    "Hosts and processes",
    8,
    graph(
        "CPU",
        "Share of the CPU in use on each host. Above the limit, `top` names the process; if it is PostgreSQL, look at"
        " its statements.",
        [query(f"stack_host:host_cpu_used_ratio:ratio{STACK}", HOST), limits("host_cpu_used_ratio")],
        unit="percentunit",
        missing=NODE,
        alerts=["HighCPUUsage"],
    ),
    graph(
        "Memory",
        "Share of the memory in use on each host, without what the kernel can free at once. Above the limit, find the"
        " process that holds it: a restart of another one frees nothing.",
        [query(f"stack_host:host_memory_used_ratio:ratio{STACK}", HOST), limits("host_memory_used_ratio")],
        unit="percentunit",
        missing=NODE,
        alerts=["HighMemoryUsage"],
    ),
    graph(
        "Disk",
        "Share of each volume in use. Above the limit, delete logs, old dumps and images, never WAL or the newest"
        " backup.",
        [
            query(f"stack_host_volume:host_disk_used_ratio:ratio{STACK}", "{{stack}} {{host}} {{volume}}"),
            limits("host_disk_used_ratio"),
        ],
        unit="percentunit",
        missing=NODE,
        alerts=["HighDiskUsage", "DiskFullSoon"],
    ),
    wide(
        graph(
            "Memory of processes",
            "Memory that each process occupies. If it rises for days and falls only at restarts, it leaks: take a heap"
            " snapshot before the next restart.",
            [
                query(f"stack_host:application_resident_memory_bytes:max{STACK}", HOST),
                limits("application_resident_memory_bytes"),
            ],
            unit="bytes",
            missing=APPLICATION,
            alerts=["ProcessMemoryHigh"],
        ),
        12,
    ),
    wide(
        graph(
            "Certificates",
            "Time until each certificate expires. Below the limit, renew it now; then find out why the renewal failed.",
            [
                query(
                    f"stack_protocol_target:tls_certificate_remaining_seconds:min{STACK}",
                    "{{stack}} {{protocol}} {{target}}",
                ),
                limits("tls_certificate_remaining_seconds"),
            ],
            unit="s",
            missing="not measured: no endpoint and no server is read over TLS",
            alerts=["TLSCertificateExpiringSoon"],
        ),
        12,
    ),
    width=8,
)

BOARD = board(
    "application",
    "application and hosts",
    "Requests, errors and times of the application, its services and processes, and the hosts below them.",
    [*TRAFFIC, *BUSINESS, *HOSTS],
)
