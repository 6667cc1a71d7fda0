"""The metrics of an HTTP endpoint, under blackbox_exporter's names."""

from exporter.metric import gauge

SUCCESS = gauge("probe_success", "Whether the endpoint answered with the status that is expected (1).")
DURATION = gauge("probe_duration_seconds", "How long the probe took, in seconds, connecting included.")
STATUS = gauge("probe_http_status_code", "The status that the endpoint answered with; 0 where it gave none.")
METRICS = (SUCCESS, DURATION, STATUS)
