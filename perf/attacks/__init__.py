"""The attacks of `perf/hostile`: each a function of a field and a tally, run in a process of its own.

A new one: a function in the file of its subject, and a line in the list of that file.
"""
import collections

# `name` is for the command line, `title` for the table. `seconds` is how long it goes on, at least.
Attack = collections.namedtuple("Attack", "name title run seconds", defaults=(0,))
