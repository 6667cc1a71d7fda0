"""Read-only diagnostics of a stack, bounded, without secrets or personal data.

The remediation collect_diagnostics reads them, and escalations attach them.
"""
