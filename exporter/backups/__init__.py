"""Backups: the age, size and number of backups, and the proofs that they can be restored.

This kind reads folders, buckets and the reports of backup tools; the remediator's run_backup makes new backups.
"""
