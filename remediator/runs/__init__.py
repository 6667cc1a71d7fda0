"""One run of an episode, from its plan to the proof: planning, approval, execution, verification.

bounds/ judges it, remediations/ applies its effects, ledger/ keeps its rows.
"""
