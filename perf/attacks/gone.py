"""Clients that are half there: they close one direction, or vanish without a word."""
import ctypes
import itertools
import select
import socket
import struct
import time

from rig.http import Broken, Wire, request

from . import Attack
from .field import ATTACKER, Crowd, goes_on

HOST = "attacked.test"
# <asm-generic/socket.h>
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
PROXY_PATIENCE = 6  # `body_idle` of hostile.toml


def half_closed(field, tally):
    """They close their sending side: after a whole request an answer is due, else nothing is."""
    for number in itertools.count():
        if not goes_on(field):
            return
        path = f"/echo/half-{number}"
        for data, answered in [
            (b"", False),
            (b"GET /half HTTP/1.1\r\nHo", False),
            (b"POST /mirror HTTP/1.1\r\nHost: attacked.test\r\nContent-Length: 10\r\n\r\nhalf", False),
            (request("GET", path, HOST), True),
        ]:
            with Wire(field.http, ATTACKER) as wire:
                tally.add("connections")
                wire.send(data)
                wire.socket.shutdown(socket.SHUT_WR)
                try:
                    reply = wire.reply()
                except (Broken, ConnectionResetError):
                    reply = None
                except TimeoutError:
                    tally.is_wrong(f"held open after half a request and its end: {data[:20]!r}")
                    continue
            if answered and not (reply and reply.status == 200 and reply.body == path.encode()):
                tally.is_wrong("a whole request was not answered after its client had closed its sending side")
            if not answered and reply and reply.status == 200:
                tally.is_wrong("half a request was answered as a whole one")
            tally.add("answered" if reply else "closed")


def vanished(field, tally):
    """In the midst of a download they acknowledge nothing more: a filter drops all that comes to their sockets."""
    def script():
        yield request("GET", f"/bytes/1/{1 << 26}", HOST)

    def vanish(member):
        if member not in gone:
            drop_all(member.socket)
            gone[member] = time.monotonic()

    gone = {}
    with Crowd(field.http, 200, tally, script, reads=False, receive_buffer=4096) as crowd:
        crowd.run(field, vanish)
        due = [member for member, since in gone.items() if time.monotonic() - since > PROXY_PATIENCE + 3]
        for member in due:
            member.socket.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
            crowd.send(member, b"x")
        # A proxy that has let go of them answers with a reset.
        time.sleep(0.5)
        for member in due:
            poll = select.poll()
            poll.register(member.socket, 0)
            tally.add("let go by the proxy" if poll.poll(0) else "still held")
    tally.add("vanished", len(gone))
    if tally.counts["still held"]:
        tally.is_wrong(f"{tally.counts['still held']} vanished clients are held for longer than body_idle")


def drop_all(connection):
    """A filter of one instruction, `return 0`: the kernel acts as if no segment had come."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    filter_ = struct.pack("HL", 1, ctypes.addressof(program))
    connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_)


ATTACKS = [
    Attack("half-closed", "half-open: sending side closed", half_closed),
    Attack("vanished", "half-open: vanished amid a download", vanished, 15),
]
