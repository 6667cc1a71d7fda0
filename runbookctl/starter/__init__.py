"""`runbookctl init`: the folder of a new installation.

It comes before the loop: inventory, rules, boards and grants from the shipped files, and fresh secrets.
"""
