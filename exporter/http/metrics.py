"""The metrics of an HTTP endpoint, under blackbox_exporter's names; the two of a JSON body are our own."""

from exporter.metric import gauge

SUCCESS = gauge("probe_success", "Whether the endpoint answered as expected: status, headers and body (1).")
DURATION = gauge("probe_duration_seconds", "Duration of the probe in seconds, connecting included.")
STATUS = gauge("probe_http_status_code", "Status code of the response; 0 without a response.")
PHASE = gauge("probe_http_duration_seconds", "Duration of a phase in seconds, over all redirects.", "phase", parts=5)
REDIRECTS = gauge("probe_http_redirects", "Redirects that were followed.")
CONTENT_LENGTH = gauge("probe_http_content_length", "Content-Length of the response in bytes; -1 without one.")
BODY_LENGTH = gauge("probe_http_uncompressed_body_length", "Size of the body that was read, in bytes, decompressed.")
SSL = gauge("probe_http_ssl", "Whether the last request went over TLS (1).")
HTTP_VERSION = gauge("probe_http_version", "Version of HTTP of the response.")
IP_PROTOCOL = gauge("probe_ip_protocol", "Version of the internet protocol of the last connection, 4 or 6.")
TLS_VERSION = gauge("probe_tls_version_info", "Version of TLS of the last connection (1).", "version")
CERT_EXPIRY = gauge(
    "probe_ssl_earliest_cert_expiry",
    "Earliest end of validity of the certificates that the server sent, in seconds since 1970.",
)
REGEX = gauge("probe_failed_due_to_regex", "Whether the body or a header did not match a regular expression (1).")
JSON = gauge("probe_failed_due_to_json", "Whether the JSON body was not as expected (1).")
VERSION = gauge("probe_application_version_info", "Version in the JSON body (1).", "version")
METRICS = (
    *(SUCCESS, DURATION, STATUS, PHASE, REDIRECTS, CONTENT_LENGTH, BODY_LENGTH, SSL, HTTP_VERSION, IP_PROTOCOL),
    *(TLS_VERSION, CERT_EXPIRY, REGEX, JSON, VERSION),
)
