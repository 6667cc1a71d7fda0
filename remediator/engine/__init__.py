"""The loop that processes deliveries, plans due episodes and drives every run to its end.

It calls intake/, runs/ and escalation/ in turn, and holds no rule of its own about what may be done.
"""
