"""HTTP in and out: the webhook that accepts deliveries, the operators' API, the metrics page.

It never runs anything: it hands deliveries to the ledger and wakes the engine.
"""
