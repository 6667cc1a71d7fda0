"""How a remediation reaches its target: one file a kind, with the deadlines and the errors that belong to it."""
