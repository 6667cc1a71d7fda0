"""Reports of incidents and of periods, made from the ledger alone.

They read, and never act; what the ledger cannot know is left for people to fill in.
"""
