"""Accepted deliveries become episodes: they join, confirm or end them.

It stands between the webhook, which stores deliveries, and the engine, which plans runs for episodes.
"""
