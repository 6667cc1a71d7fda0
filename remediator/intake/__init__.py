"""Turns accepted deliveries into episodes, which they open, confirm or end.

It stands between the webhook, which stores deliveries, and the engine, which plans runs for episodes.
"""
