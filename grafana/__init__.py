"""The dashboards: sources in `boards/`, what Grafana reads in `dashboards/`, and `python -m grafana.build` between.

They show every step of the loop from what Prometheus has stored.
"""
