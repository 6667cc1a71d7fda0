"""One run of an episode, from its plan to the proof: planning, approval, execution, verification.

Its bounds are judged by bounds/, its effects are made by remediations/, its rows are kept by ledger/.
"""
