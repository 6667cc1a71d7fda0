"""Diagnostics of a stack for the operator: read-only, bounded, without secrets or personal data.

The remediation collect_diagnostics reads them, and escalations attach them.
"""
