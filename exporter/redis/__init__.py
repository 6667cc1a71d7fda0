"""Redis and Valkey: INFO, slow log and latency; in the background, keys by prefix.

This kind measures the cache of a stack; exporter/bullmq measures the queues on the same server.
"""
