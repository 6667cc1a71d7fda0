"""The pages that a person reads: what each collector did, where everything is, what it would cost.

They show what scheduling/ knows and read no target themselves.
"""
