"""Clients of `perf/soak`: exchanges of many kinds, each answer compared byte by byte, each failure explained or not.

A failure is explained only if this exchange was to be hit by a fault and cannot have been tried again: nothing was
lost that a retry could have mended. A fault that should have been felt and was not is as wrong as one that should not.
"""
import collections
import random
import ssl
import threading
import time

from .body import body
from .faulty_origin import FAULTS
from .http import Broken, Wire, request

FAULT_SHARE = 0.01
NEW_CONNECTION_SHARE = 0.3
TLS_SHARE = 0.5
CHUNK_BYTES = 3000
ANSWER_SECONDS = 15
SHOWN_MAX = 20
ERRORS = (OSError, Broken)

SIZES = (0, 1, 100, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20)
SIZE_WEIGHTS = (5, 5, 20, 30, 15, 10, 8, 5, 2)


class Outcome:
    """What all clients together have seen."""

    def __init__(self):
        self.lock = threading.Lock()
        self.exchanges = collections.Counter()
        self.faults = collections.Counter()
        self.explained = collections.Counter()
        self.mended = collections.Counter()
        self.unexplained = 0
        self.shown = []

    def note(self, kind, fault, failure, must_fail):
        with self.lock:
            self.exchanges[kind] += 1
            if fault:
                self.faults[fault] += 1
            if failure is None and not must_fail:
                if fault:
                    self.mended[fault] += 1
            elif failure is not None and must_fail and not isinstance(failure, Wrong):
                self.explained[fault] += 1
            else:
                self.unexplained += 1
                if len(self.shown) < SHOWN_MAX:
                    self.shown.append(f"{time.strftime('%H:%M:%S')} {kind}, fault {fault}: "
                                      f"{failure or 'answered, where no answer can have been'}")


class Wrong(Exception):
    """Bytes that were taken for an answer and are not it. No fault explains that."""


def soak_clients(channel, http, https, stream, authority, count):
    """For a child: `count` clients until it is stopped; returns their outcome."""
    tls = ssl.create_default_context(cafile=authority)
    outcome = Outcome()
    clients = [Client(number, channel.stopped, outcome, (http, https, stream), tls) for number in range(count)]
    threads = [threading.Thread(target=client.run, daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    del outcome.lock
    return outcome


class Client:
    """One of them: a kept connection of each sort, and new ones in between."""

    def __init__(self, number, stopped, outcome, addresses, tls):
        self.number = number
        self.stopped = stopped
        self.outcome = outcome
        self.http, self.https, self.stream = addresses
        self.tls = tls
        self.random = random.Random(number)
        self.kept = {}
        self.count = 0

    def run(self):
        kinds = {self.get: 40, self.get_chunked: 15, self.head: 5, self.post: 15, self.post_chunked: 10,
                 self.refused: 2, self.upgrade: 5, self.pass_on: 8}
        while not self.stopped.is_set():
            self.count += 1
            kind, = self.random.choices(list(kinds), kinds.values())
            fault = None
            if self.random.random() < FAULT_SHARE:
                fault, = self.random.choices(list(FAULTS), FAULTS.values())
            kind(fault)
        for wire in self.kept.values():
            wire.close()

    # --- kinds of exchanges

    def get(self, fault):
        seed, size = self._seed(), self._size()
        self._http("GET", fault, f"/bytes/{seed}/{size}", body(seed, size))

    def get_chunked(self, fault):
        seed, size = self._seed(), self._size()
        self._http("GET", fault, f"/bytes/{seed}/{size}", body(seed, size), ("Chunked: yes",))

    def head(self, fault):
        size = self._size()
        # Such a response has no midst.
        fault = "reset-before" if fault == "reset-amid" else fault
        self._http("HEAD", fault, f"/bytes/1/{size}", b"", length=size)

    def post(self, fault):
        content = body(self._seed(), self._size())
        self._http("POST", fault, "/mirror", content, content=content)

    def post_chunked(self, fault):
        content = body(self._seed(), self._size())
        self._http("POST", fault, "/mirror", content, content=content, chunk=CHUNK_BYTES)

    def refused(self, _):
        """To a pool of which one server is not there: the other one answers, always."""
        path = f"/echo/{self._seed()}"
        failure = None
        try:
            with Wire(self.http, seconds=ANSWER_SECONDS) as wire:
                check(wire.exchange(request("GET", path, "refused.test")), path.encode(), None)
        except (*ERRORS, Wrong) as error:
            failure = error
        self.outcome.note("refused", None, failure, must_fail=False)

    def upgrade(self, fault):
        """A tunnel, through which a few messages go and come back."""
        fault = "reset-amid" if fault else None
        address, tls, host = self._where()
        failure = None
        try:
            with Wire(address, None, tls, host, ANSWER_SECONDS) as wire:
                asks = ("Connection: upgrade", "Upgrade: echo", *self._asks(fault))
                reply = wire.exchange(request("GET", "/echo/tunnel", host, asks))
                if reply.status != 101:
                    raise Broken(f"status {reply.status}")
                self._echo(wire, 3)
                if fault and wire.socket.recv(1) == b"":
                    raise Broken("the tunnel was closed")
        except (*ERRORS, Wrong) as error:
            failure = error
        self.outcome.note("upgrade", fault, failure, must_fail=fault is not None)

    def pass_on(self, fault):
        """A connection that is passed on unread."""
        fault = "stream-reset" if fault else None
        failure = None
        try:
            with Wire(self.stream, seconds=ANSWER_SECONDS) as wire:
                if fault:
                    wire.send(b"reset")
                self._echo(wire, 2)
        except (*ERRORS, Wrong) as error:
            failure = error
        self.outcome.note("stream", fault, failure, must_fail=fault is not None)

    # --- how they are made

    def _http(self, method, fault, path, expected, fields=(), content=None, chunk=None, length=None):
        address, tls, host = self._where()
        keeps = self.random.random() >= NEW_CONNECTION_SHARE
        fields = (*fields, *self._asks(fault), *(() if keeps else ("Connection: close",)))
        failure = wire = None
        try:
            wire = (keeps and self.kept.pop(host, None)) or Wire(address, None, tls, host, ANSWER_SECONDS)
            reply = wire.exchange(request(method, path, host, fields, content, chunk), method)
            check(reply, expected, length)
            if keeps and reply.keeps() and not wire.rest:
                self.kept[host], wire = wire, None
        except (*ERRORS, Wrong) as error:
            failure = error
        if wire:
            wire.close()
        kind = f"{method}{' chunked' if chunk or 'Chunked: yes' in fields else ''}{' TLS' if tls else ''}"
        # Of these a reset before the answer is the one that a second try mends, if nothing is done twice by it.
        must_fail = fault is not None and not (fault == "reset-before" and method != "POST")
        self.outcome.note(kind, fault, failure, must_fail)

    def _echo(self, wire, times):
        for _ in range(times):
            sent = body(self._seed(), self.random.choice((1, 125, 4096, 50_000)))
            wire.send(sent)
            got = bytearray()
            while len(got) < len(sent):
                received = wire.socket.recv(1 << 16)
                if not received:
                    raise Broken("the tunnel was closed")
                got += received
            if got != sent:
                raise Wrong("other bytes came back from the tunnel")

    def _where(self):
        if self.random.random() < TLS_SHARE:
            return self.https, self.tls, "safe.test"
        return self.http, None, "soak.test"

    def _asks(self, fault):
        return (f"X-Fault: {fault}", f"X-Id: {self.number}-{self.count}") if fault else ()

    def _seed(self):
        return self.random.randrange(1 << 20)

    def _size(self):
        return self.random.choices(SIZES, SIZE_WEIGHTS)[0]


def check(reply, expected, length):
    if reply.status != 200:
        raise Broken(f"status {reply.status}")
    if reply.body != expected:
        raise Wrong(f"other bytes than were sent: {len(reply.body)} of {len(expected)}")
    if length is not None and reply.fields.get(b"content-length") != b"%d" % length:
        raise Wrong(f"another length than {length}: {reply.fields}")
