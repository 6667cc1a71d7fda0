"""Backups: how old the newest is, what belongs to it, and what proves that it can be restored.

It measures folders, buckets and the reports of backup tools; run_backup of the remediator makes new ones.
"""
