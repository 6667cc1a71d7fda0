"""A small simulated product, the demo's stack `shop`, which the loop measures and repairs.

It has a web server with customers, jobs, an upstream, and a receiver of messages.
"""
