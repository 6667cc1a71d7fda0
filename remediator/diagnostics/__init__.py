"""What a person wants to see of a stack before touching it: read-only, bounded, without secrets or personal data.

The remediation collect_diagnostics gathers it, and escalations carry it.
"""
