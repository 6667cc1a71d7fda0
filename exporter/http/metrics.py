"""The metrics of an HTTP endpoint, under blackbox_exporter's names."""

from exporter.metric import gauge

SUCCESS = gauge("probe_success", "Whether the endpoint answered with the expected status (1).")
DURATION = gauge("probe_duration_seconds", "Duration of the probe in seconds, connecting included.")
STATUS = gauge("probe_http_status_code", "Status code of the response; 0 without a response.")
METRICS = (SUCCESS, DURATION, STATUS)
