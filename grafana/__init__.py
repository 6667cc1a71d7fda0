"""The dashboards: `python -m grafana.build` turns the sources in `boards/` into the JSON in `dashboards/`.

They show every step of the loop, from the series that Prometheus has stored.
"""
