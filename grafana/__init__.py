"""The dashboards: sources in `boards/`, what Grafana reads in `dashboards/`, and `python -m grafana.build` between."""
