"""`make pictures`: the committed boards with the demo's data, drawn by Grafana's component library in Chromium.

The library comes from npm and is fetched for this alone. There is no Grafana server: panels that the library lacks, and
what lies between panels, are drawn by `renderer/`.
"""
