"""What people want to see of a stack before they touch it: read-only, bounded, without secrets or personal data."""
