"""The remediator: the last step of the loop, it takes alerts and runs bounded remediations.

It never decides whether something is wrong, only what may be done about it.
"""
