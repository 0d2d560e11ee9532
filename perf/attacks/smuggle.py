"""Requests that two readers may read differently, each with a second request hidden in it.

The upstream server reads strictly and notes what should not have reached it: the hidden request, and any head that has
more than one meaning. Both are wrong.
"""
import json

from rig.http import Broken, Wire, request

from . import Attack
from .field import ATTACKER, goes_on

HOST = "attacked.test"
HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: attacked.test\r\n\r\n"
ANSWER_SECONDS = 2


def smuggling(field, tally):
    while goes_on(field):
        for name, data in cases():
            if not goes_on(field):
                break
            _send(field, tally, name, data)
    with Wire(field.http, ATTACKER) as wire:
        seen = json.loads(bytes(wire.exchange(request("GET", "/seen", HOST)).body))
    if seen["smuggled"]:
        tally.is_wrong(f"{seen['smuggled']} hidden requests have reached the server")
    for head in seen["ambiguous"]:
        tally.is_wrong(f"the server got {head}")


def _send(field, tally, name, data):
    tally.add("requests")
    tally.add("bytes", len(data))
    with Wire(field.http, ATTACKER, seconds=ANSWER_SECONDS) as wire:
        wire.send(data)
        try:
            reply = wire.reply()
            tally.add(f"answers {reply.status}")
            if b"/smuggled" in reply.body + wire.rest:
                tally.is_wrong(f"the hidden request was answered: {name}")
        except (Broken, ConnectionResetError):
            tally.add("closed")
        except TimeoutError:
            tally.add("neither answered nor closed")


def cases():
    """Name and bytes of each. Where the hidden request is a body to one reader, it is a request to the other."""
    length, hidden_chunk = len(HIDDEN), b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    chunked = b"Transfer-Encoding: chunked\r\n"
    yield from (
        (name, b"POST /echo/case HTTP/1.1\r\nHost: attacked.test\r\n" + fields + b"\r\n" + body)
        for name, fields, body in [
            ("length and chunks", b"Content-Length: %d\r\n" % (length + 5) + chunked, b"0\r\n\r\n" + HIDDEN),
            ("chunks and length", chunked + b"Content-Length: 4\r\n", hidden_chunk),
            ("two lengths", b"Content-Length: 0\r\nContent-Length: %d\r\n" % length, HIDDEN),
            ("a list of lengths", b"Content-Length: 0, %d\r\n" % length, HIDDEN),
            ("a length with a sign", b"Content-Length: +%d\r\n" % length, HIDDEN),
            ("a length in hexadecimal", b"Content-Length: 0x%x\r\n" % length, HIDDEN),
            ("a length with a space", b"Content-Length: 0 %d\r\n" % length, HIDDEN),
            ("a length beyond 64 bits", b"Content-Length: 18446744073709551616\r\n", HIDDEN),
            ("another coding", b"Transfer-Encoding: xchunked\r\n", hidden_chunk),
            ("chunked and another", b"Transfer-Encoding: chunked, identity\r\n", hidden_chunk),
            ("chunked twice", chunked + chunked, hidden_chunk),
            ("a vertical tab before it", b"Transfer-Encoding: \x0bchunked\r\n", hidden_chunk),
            ("a space before the colon", b"Transfer-Encoding : chunked\r\n", hidden_chunk),
            ("a space before the length's colon", b"Content-Length : %d\r\n" % length, HIDDEN),
            ("a folded line", b"Transfer-Encoding:\r\n chunked\r\n", hidden_chunk),
            ("a bare CR in a field", b"X-A: a\rTransfer-Encoding: chunked\r\n", hidden_chunk),
            ("a bare LF in a field", b"X-A: a\nContent-Length: %d\r\n" % length, b""),
            ("NUL in a field", b"X-A: a\0\r\nContent-Length: 0\r\n", b""),
            ("a chunk size with a prefix", chunked, b"0x%x\r\n" % length + HIDDEN + b"\r\n0\r\n\r\n"),
            ("a chunk size with a sign", chunked, b"+%x\r\n" % length + HIDDEN + b"\r\n0\r\n\r\n"),
            ("a chunk size beyond 64 bits", chunked, b"10000000000000000\r\n" + HIDDEN),
            ("a chunk longer than its size", chunked, b"1\r\nxx\r\n0\r\n\r\n" + HIDDEN),
            ("chunk lines that end in LF", chunked, b"1\nx\n0\n\n" + HIDDEN),
            ("a bare LF in an extension", chunked, b"1;a\nx\r\n%x\r\n" % length + HIDDEN + b"\r\n0\r\n\r\n"),
            ("a bare CR in an extension", chunked, b"1;a\rx\r\nx\r\n0\r\n\r\n"),
            ("an option that hides the length",
             b"Connection: Content-Length\r\nContent-Length: %d\r\n" % length, HIDDEN),
        ]
    )
    yield from (
        (name, line + b"\r\nHost: attacked.test\r\n\r\n") for name, line in [
            ("a bare CR in the target", b"GET /a\rX HTTP/1.1"),
            ("a bare LF in the target", b"GET /a\nX: HTTP/1.1"),
            ("a space in the target", b"GET /a HTTP/1.1\x20/b HTTP/1.1"),
            ("a line before the line", b"GET /a HTTP/1.1\r\n\r\nGET /b"),
            ("two hosts", b"GET /a HTTP/1.1\r\nHost: good.test"),
        ]
    )


ATTACKS = [Attack("smuggling", "splitting and smuggling of requests", smuggling)]
