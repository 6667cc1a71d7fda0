"""The demonstration: real servers, the daemons and a small simulated product, started by one command."""
