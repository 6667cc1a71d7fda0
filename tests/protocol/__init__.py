"""A model of the protocol between replicas, searched exhaustively: every order of steps, every crash, every delay.

Real servers show what happens once; a search of the model shows what can happen at all.
"""
