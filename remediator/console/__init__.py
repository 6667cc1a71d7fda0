"""The console: pages in the browser for the on-call, with sign-in and acts under the operator's name.

It shows what ledger and engine hold, and acts by the same functions as `/api/v1`; `server` has that and the webhook.
"""
