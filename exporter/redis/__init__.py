"""Redis and Valkey: INFO, slow commands and latency on each scrape; keys by prefix in the background.

This kind measures the cache of a stack; exporter/bullmq measures the queues on the same server.
"""
