"""A small simulated product: what the stack `shop` of the demo is made of, besides its servers.

It is what the loop measures and repairs: traffic, jobs, an upstream, and the receiver of messages.
"""
