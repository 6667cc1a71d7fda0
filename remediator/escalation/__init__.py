"""Who hears of what and when: which outcomes are reported, the ladder of contacts, the words, the sending.

It is where the loop leaves the machine: what could not be fixed is handed to a person.
"""
