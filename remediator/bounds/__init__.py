"""Whether a run may act: one function per bound, the facts they judge, and the kill switch.

The planning of a run asks them in the transaction that admits it.
"""
