"""Responses of HTTP/1 as a strict client reads them, and a blocking connection that does so.

Everything that a careful client would refuse raises `Broken`: a proxy that lets it through has failed its client.
"""
import re
import socket
import struct
import time

FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n\0]*)?")
RECEIVE_BYTES = 1 << 16
CONNECT_SECONDS = 10
RESET = struct.pack("ii", 1, 0)


class Broken(Exception):
    """A response that is malformed, or that ended too early."""


class Reply:
    """A response: `status`, `fields` (names in lower case), `body`, and how many interim ones came before it."""

    def __init__(self):
        self.interims = 0
        self.status = None
        self.fields = {}
        self.body = bytearray()

    def keeps(self):
        return self.fields.get(b"connection", b"").lower() != b"close"


class Parser:
    """Takes bytes as they come; `reply` is complete once `feed` or `end` says True."""

    def __init__(self, method="GET"):
        self.method = method
        self.reply = Reply()
        self.buffer = bytearray()
        self.left = None  # bytes of a body or of a chunk that are still to come
        self.step = self._head

    def feed(self, received):
        self.buffer += received
        while self.step and self.step():
            pass
        return self.step is None

    def end(self):
        """The connection has ended; true if that is what ends the body."""
        if self.step == self._until_end:
            self.step = None
        if self.step:
            what = "nothing" if self.reply.status is None and not self.buffer else f"in {self.step.__name__.strip('_')}"
            raise Broken(f"closed early: {what}")
        return True

    def rest(self):
        """What came after the response."""
        return bytes(self.buffer)

    def _head(self):
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.buffer[:end])
        del self.buffer[:end + 4]
        first, *lines = head.split(b"\r\n")
        status = STATUS_LINE.fullmatch(first)
        if not status:
            raise Broken(f"no status line: {first[:60]!r}")
        fields = {}
        for line in lines:
            field = FIELD.fullmatch(line)
            if not field:
                raise Broken(f"no field: {line[:60]!r}")
            name = field[1].lower()
            if name in (b"content-length", b"transfer-encoding") and name in fields:
                raise Broken(f"twice: {name.decode()}")
            fields[name] = field[2]
        code = int(status[1])
        if 100 <= code < 200 and code != 101:
            self.reply.interims += 1
            return True
        self.reply.status, self.reply.fields = code, fields
        self.step = self._framing(code, fields)
        return True

    def _framing(self, code, fields):
        length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
        if length is not None and coding is not None:
            raise Broken("both Content-Length and Transfer-Encoding")
        if self.method == "HEAD" or code in (101, 204, 304):
            return None
        if coding is not None:
            if coding.lower() != b"chunked":
                raise Broken(f"unknown coding: {coding!r}")
            return self._chunk_line
        if length is None:
            return self._until_end
        if not length.isdigit():
            raise Broken(f"no length: {length!r}")
        self.left = int(length)
        return self._body if self.left else None

    def _take(self):
        taken = self.buffer[:self.left]
        del self.buffer[:self.left]
        self.left -= len(taken)
        self.reply.body += taken
        return bool(taken)

    def _body(self):
        if not self._take():
            return False
        if not self.left:
            self.step = None
        return True

    def _until_end(self):
        self.left = len(self.buffer)
        return self._take()

    def _line(self):
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return None
        line = bytes(self.buffer[:end])
        del self.buffer[:end + 2]
        return line

    def _chunk_line(self):
        line = self._line()
        if line is None:
            return False
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}(?:;[^\r\n\0]*)?", line):
            raise Broken(f"no chunk size: {line[:60]!r}")
        self.left = int(line.split(b";")[0], 16)
        self.step = self._chunk if self.left else self._trailer
        return True

    def _chunk(self):
        if self.left:
            return self._take()
        if len(self.buffer) < 2:
            return False
        if self.buffer[:2] != b"\r\n":
            raise Broken("a chunk longer than its size")
        del self.buffer[:2]
        self.step = self._chunk_line
        return True

    def _trailer(self):
        line = self._line()
        if line is None:
            return False
        if line and not FIELD.fullmatch(line):
            raise Broken(f"no field: {line[:60]!r}")
        self.step = self._trailer if line else None
        return True


class Wire:
    """A connection to the proxy, plain or through TLS. `seconds` bounds each exchange, not only each receive."""

    def __init__(self, address, source=None, tls=None, name=None, seconds=10):
        self.seconds = seconds
        self.rest = b""
        self.socket = connect(address, source)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def exchange(self, request, method="GET"):
        """Sends a request and reads its response. What cannot be sent may still have been answered."""
        self.send(request)
        return self.reply(method)

    def send(self, data):
        self.socket.settimeout(self.seconds)
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def reply(self, method="GET"):
        deadline = time.monotonic() + self.seconds
        parser = Parser(method)
        done = parser.feed(self.rest)
        while not done:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no end of the response within {self.seconds} s")
            self.socket.settimeout(left)
            received = self.socket.recv(RECEIVE_BYTES)
            done = parser.feed(received) if received else parser.end()
        self.rest = parser.rest()
        return parser.reply

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()


def connect(address, source=None):
    connection = socket.socket()
    try:
        come_from(connection, source)
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


def come_from(connection, source):
    """Binds to an address of this machine; the port is chosen on connecting, when more of them are free."""
    if source:
        connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        connection.bind((source, 0))


# Linux, in <netinet/in.h>; Python 3.11 does not have the name.
IP_BIND_ADDRESS_NO_PORT = 24


def request(method, path, host, fields=(), content=None, chunk=None):
    """A request as bytes; its content has a length, or goes in chunks of at most `chunk` bytes."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
    if content is None:
        return "\r\n".join([*lines, "", ""]).encode()
    if chunk is None:
        return "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode() + content
    return "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode() + chunked(content, chunk)


def chunked(content, chunk):
    parts = [content[at:at + chunk] for at in range(0, len(content), chunk)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
