"""Numbers of other services: one request for the JSON that holds them.

All are read in the background: each request counts against the limits of the service, and it may be slow.
"""
