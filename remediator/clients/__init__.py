"""The clients for targets and Alertmanager: one file per protocol.

Deadlines and errors of each protocol are handled here, so that remediations hold only their own steps.
"""
