"""Tests of an inventory's policy: what the remediator would do about alerts over time, and what it must not do.

A file of cases is read and checked, each case is played in the simulation, and what it shows is compared with what the
case expects. `runbookctl test` prints the result; nothing here reaches a server.
"""
