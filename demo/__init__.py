"""The demo: real servers, the daemons and a small simulated product on one machine.

The tests start their servers with it.
"""
