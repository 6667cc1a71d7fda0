"""The demonstration: real servers, the daemons and a small simulated product, started by one command.

It runs the whole loop on one machine; the tests start their servers with it.
"""
