"""When each target is read, over which connection, and for how long; one scrape is put together here.

It stands between the HTTP pages, which want samples, and the collectors, which read them.
"""
