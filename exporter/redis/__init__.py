"""Redis and Valkey: INFO, slow commands and latency on each scrape; keys by prefix in the background.

It measures the cache of a stack; the queues on the same server are exporter/bullmq's.
"""
