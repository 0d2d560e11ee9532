"""What an attack is made with: where and until when (`Field`), what it did (`Tally`), many connections (`Crowd`)."""
import collections
import errno
import select
import socket
import time

from rig.http import RESET, come_from

ATTACKER = "127.0.0.66"
OPENED_AT_ONCE = 200
RECEIVE_BYTES = 1 << 16
# Small, so that what the attacker counts as sent has left it but for this much.
SEND_BUFFER = 1 << 16
WRONG_MAX = 8

Field = collections.namedtuple("Field", "http https until seconds")


def goes_on(field):
    return time.monotonic() < field.until


class Tally:
    """What an attacker did, by name and number; and what it got that it must not get."""

    def __init__(self):
        self.counts = collections.Counter()
        self.wrong = []

    def add(self, name, n=1):
        self.counts[name] += n

    def is_wrong(self, what):
        if len(self.wrong) < WRONG_MAX and what not in self.wrong:
            self.wrong.append(what)
        self.add("wrong")


def dial(address, receive_buffer=None):
    """A connection on its way, from the attacker's address; `None` while there is no free port or descriptor."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        come_from(connection, ATTACKER)
        connection.connect(address)
    except BlockingIOError:
        pass
    except OSError as error:
        connection.close()
        if error.errno in (errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE):
            return None
        raise
    return connection


def name_of(answer):
    """What an answer that begins so is counted as."""
    if answer.startswith(b"HTTP/1.1 "):
        return f"answers {answer[9:12].decode(errors='replace')}"
    return {0x15: "alerts", 0x16: "server hellos"}.get(answer[0], "other answers")


class Member:
    """One connection of a crowd: what it still has to send, and what has come."""

    def __init__(self, connection, script):
        self.socket = connection
        self.script = script
        self.pending = memoryview(b"")
        self.answer = b""


class Crowd:
    """Many connections of one attacker, none of which holds up another.

    `script()` makes what a connection sends: pieces, one after the other, as fast as they are taken. A connection whose
    script is at its end stays open. One that ends is replaced. With `reads=False` nothing is ever received.
    """

    def __init__(self, address, count, tally, script=lambda: iter(()), reads=True, receive_buffer=None):
        self.address = address
        self.count = count
        self.tally = tally
        self.script = script
        self.reads = reads
        self.receive_buffer = receive_buffer
        self.members = {}
        self.poller = select.epoll()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in list(self.members.values()):
            self.drop(member)
        self.poller.close()

    def run(self, field, tick=None, every=1.0):
        """Until the attack is over; calls `tick(member)` for each connection once in `every` seconds."""
        due = time.monotonic() + every
        while goes_on(field):
            self.turn(0.05)
            if tick and time.monotonic() >= due:
                due += every
                for member in list(self.members.values()):
                    tick(member)

    def turn(self, seconds):
        """Opens what is missing, sends and receives what can be."""
        for _ in range(min(self.count - len(self.members), OPENED_AT_ONCE)):
            connection = dial(self.address, self.receive_buffer)
            if connection is None:
                self.tally.add("no port free")
                break
            self.members[connection.fileno()] = Member(connection, self.script())
            self.poller.register(connection, self._events(True))
            self.tally.add("connections")
        for descriptor, events in self.poller.poll(seconds, 1024):
            member = self.members[descriptor]
            try:
                # What has come first: after an error there may be nothing more to read.
                if self.reads and events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                    self._receive(member)
                elif events & (select.EPOLLHUP | select.EPOLLERR):
                    raise ConnectionResetError
                if events & select.EPOLLOUT:
                    self._send(member)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError:
                self.lost(member)

    def send(self, member, data):
        """Sends a few bytes now, outside the script; nothing where there is no room."""
        try:
            self.tally.add("bytes", member.socket.send(data))
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.lost(member)

    def lost(self, member):
        """The proxy has closed it."""
        self.tally.add("closed by the proxy")
        self.drop(member)

    def drop(self, member, reset=False):
        if member.answer:
            self.tally.add(name_of(member.answer))
        self.poller.unregister(member.socket)
        del self.members[member.socket.fileno()]
        if reset:
            member.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        member.socket.close()

    def _events(self, sends):
        return (select.EPOLLIN if self.reads else 0) | (select.EPOLLOUT if sends else 0)

    def _receive(self, member):
        received = member.socket.recv(RECEIVE_BYTES)
        if not received:
            raise ConnectionResetError
        if not member.answer:
            member.answer = received[:16]

    def _send(self, member):
        while True:
            if not member.pending:
                member.pending = memoryview(next(member.script, b""))
                if not member.pending:
                    self.poller.modify(member.socket, self._events(False))
                    return
            sent = member.socket.send(member.pending)
            self.tally.add("bytes", sent)
            member.pending = member.pending[sent:]
            # One of many: an endless script must not keep the others waiting.
            if sent < RECEIVE_BYTES and member.pending:
                return
            if not self.reads or sent >= RECEIVE_BYTES:
                return
