"""The durable store of deliveries, episodes, runs, effects and the audit trail."""
