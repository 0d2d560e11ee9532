"""Attackers that are as fast as one thread can be."""
import itertools
import select
import socket
import time

from rig.http import RESET, request

from . import Attack
from .field import Crowd, dial, goes_on

HOST = "attacked.test"
PIPELINED = request("GET", "/echo/pipelined", HOST)
NO_PORT_SECONDS = 0.01


def connections(field, tally):
    _connect(field, tally, reset=False)


def connections_reset(field, tally):
    _connect(field, tally, reset=True)


def _connect(field, tally, reset):
    for connection in _fresh(field, tally):
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def _fresh(field, tally):
    """One new connection after another, each closed when the next is asked for."""
    while goes_on(field):
        connection = dial(field.http)
        if connection is None:
            # The attacker's own ports wait in TIME_WAIT.
            tally.add("no port free")
            time.sleep(NO_PORT_SECONDS)
            continue
        yield connection
        connection.close()
        tally.add("connections")


def requests_new(field, tally):
    """A request on each of many new connections, whose answer is not waited for."""
    asks = request("GET", "/echo/flood", HOST)
    for connection in _fresh(field, tally):
        try:
            tally.add("bytes", connection.send(asks))
            tally.add("requests")
        except OSError:
            pass


def resets(field, tally):
    """In turn: amid a head, amid a body, before the answer, amid the answer."""
    halves = itertools.cycle([
        (b"GET /echo/half HTTP/1.1\r\nHost: attac", False),
        (b"POST /mirror HTTP/1.1\r\nHost: attacked.test\r\nContent-Length: 100000\r\n\r\nhalf of it", False),
        (request("GET", f"/bytes/1/{1 << 20}", HOST), False),
        (request("GET", f"/bytes/1/{1 << 20}", HOST), True),
    ])
    while goes_on(field):
        batch = []
        for half, waits in itertools.islice(halves, 40):
            connection = dial(field.http, 4096 if waits else None)
            if connection is None:
                time.sleep(NO_PORT_SECONDS)
                continue
            try:
                tally.add("bytes", connection.send(half))
            except OSError:
                pass
            tally.add("connections")
            batch.append((connection, waits))
        # Until the first of the answers is there: all of these are then somewhere on their way.
        if waiting := [connection for connection, waits in batch if waits]:
            select.select(waiting, [], [], 0.2)
        for connection, _ in batch:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.close()


def pipelining(field, tally):
    """Requests without end on each connection, and not a byte of their answers is read."""
    burst = PIPELINED * 200

    def script():
        while True:
            yield burst

    with Crowd(field.http, 100, tally, script, reads=False, receive_buffer=4096) as crowd:
        crowd.run(field)
    tally.add("requests", tally.counts["bytes"] // len(PIPELINED))


def pipelining_read(field, tally):
    """The same by clients that read."""
    burst = PIPELINED * 200

    def script():
        while True:
            yield burst

    with Crowd(field.http, 20, tally, script) as crowd:
        crowd.run(field)
    tally.add("requests", tally.counts["bytes"] // len(PIPELINED))


ATTACKS = [
    Attack("flood", "connection flood, closed at once", connections),
    Attack("flood-reset", "connection flood, reset at once", connections_reset),
    Attack("flood-requests", "a request on each new connection, closed unread", requests_new),
    Attack("resets", "resets amid heads, bodies, answers", resets),
    Attack("pipelining", "pipelining flood, nothing read", pipelining),
    Attack("pipelining-read", "pipelining flood, answers read", pipelining_read),
]
