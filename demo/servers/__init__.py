"""Starts and stops real servers on 127.0.0.1 for the demonstration and the tests.

A started server outlives its starter: whoever knows its folder can stop it later.
"""
