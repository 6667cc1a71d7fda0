"""The sign-in of the console: who may reach it, who the visitor is, and how long a browser stays signed in.

Its guard stands before every page; the operators' API has tokens of its own (`remediator/server/`).
"""
