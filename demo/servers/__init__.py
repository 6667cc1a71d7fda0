"""Starts and stops real servers on 127.0.0.1 for the demonstration and the tests.

A server outlives the process that starts it: any process that knows its folder can stop it.
"""
