"""The upstream servers of `perf/soak`: they do what they should, but for what a request asks them to get wrong.

`X-Fault: KIND` and `X-Id: NUMBER` ask for it. A fault happens once for each number: whoever asks again is answered
well, so that what a retry can mend is mended. A request that changes something may come once only; a second time is
noted.
"""
import asyncio
import collections
import socket

from .http import RESET
from .origin import Origin, Seen, serve

# What of it an exchange survives is said where it is made: `soak_client`.
# Silence is rarer: a client waits for its end.
FAULTS = {"reset-before": 4, "reset-amid": 4, "silence": 1, "garbage": 4}
REMEMBERED = 100_000
RESET_AFTER_SECONDS = 0.02


class FaultySeen(Seen):
    """What the servers have seen together."""

    def __init__(self):
        super().__init__()
        self.faults = collections.Counter()
        self.twice = 0
        # Numbers whose fault has happened, the latest last.
        self._fired = collections.OrderedDict()

    def is_first(self, number):
        first = number not in self._fired
        self._fired[number] = True
        if len(self._fired) > REMEMBERED:
            self._fired.popitem(last=False)
        return first


class FaultyOrigin(Origin):
    """A connection of one of them."""

    def answer(self, request):
        fault = request.fields.get("x-fault")
        if fault is None:
            super().answer(request)
        elif self.seen.is_first(request.fields["x-id"]):
            self.seen.faults[fault] += 1
            self._fail(fault, request)
        else:
            self.seen.twice += request.method == "POST"
            super().answer(request)

    def _fail(self, fault, request):
        if fault == "reset-before":
            self._reset()
        elif fault == "reset-amid" and request.fields.get("upgrade"):
            super().answer(request)
            self._reset_later()
        elif fault == "reset-amid":
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"half" * 10_000)
            self._reset_later()
        elif fault == "garbage":
            self.transport.write(b"\x00\x01 this is not HTTP\r\n\r\n")
        # Silence is the last: the proxy ends the connection.

    def _reset_later(self):
        # A reset destroys what is on its way: what came before it would not be seen.
        asyncio.get_running_loop().call_later(RESET_AFTER_SECONDS, self._reset)

    def _reset(self):
        if not self.transport.is_closing():
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()


class FaultyStream(asyncio.Protocol):
    """A server without a protocol: sends back what comes; resets the connection if it begins with `reset`."""

    def __init__(self, seen):
        self.seen = seen
        self.is_fresh = True

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if self.is_fresh and data.startswith(b"reset"):
            self.seen.faults["stream-reset"] += 1
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()
            return
        self.is_fresh = False
        self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


def faulty(channel):
    """For a child: two servers; tells their ports. At the end, what they have seen."""
    seen = FaultySeen()
    serve(channel, seen, lambda: FaultyOrigin(seen), count=2)
    return seen


def faulty_stream(channel):
    """For a child: a server without a protocol."""
    seen = FaultySeen()
    serve(channel, seen, lambda: FaultyStream(seen))
    return seen
