"""The durable store of deliveries, episodes, runs, effects and the audit trail; one file per subject.

Every step of the remediator is a row here before it happens; it knows nothing of the steps themselves.
"""
