"""The metrics of numbers; the names are our own."""

from exporter.metric import gauge

UP = gauge("number_up", "Whether the last request was answered, with every number (1). Cached.")
VALUE = gauge("number_value", "A number of the answer; it stays while number_up is 0. Cached.", "number")
METRICS = (UP, VALUE)
