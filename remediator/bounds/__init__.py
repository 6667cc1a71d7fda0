"""Decides whether a run may act: one function per bound, the facts they judge, and the kill switch.

Planning evaluates them in the transaction that admits the run.
"""
