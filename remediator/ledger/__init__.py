"""The durable store of deliveries, episodes, runs, effects and the audit trail.

The remediator commits every step here before it takes it. This package knows nothing of the steps themselves.
"""
