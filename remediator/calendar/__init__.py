"""The calendar: the duties of people, and the windows with their announcements.

The engine looks at it twice a minute; the ledger keeps what was done and what was announced.
"""
