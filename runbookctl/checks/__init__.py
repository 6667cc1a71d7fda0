"""Checks of the inventory, Prometheus' rules and Alertmanager's routes together; nothing is connected to.

`doctor` is for what only a server can answer.
"""
