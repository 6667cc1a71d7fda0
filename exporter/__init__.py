"""The Prometheus exporter: measures every target of the inventory on each scrape and never judges."""
