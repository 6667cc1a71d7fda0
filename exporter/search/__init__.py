"""Search clusters (Elasticsearch, OpenSearch): health, shards, indices, aliases and searches.

The health is read on each scrape, the indices in the background: their statistics visit every shard.
"""
