"""An upstream server that does what it should, and notes what no proxy may ever send it."""
import asyncio
import collections
import json
import re
import time

from .body import pieces
from .http import FIELD, chunked

BACKLOG = 4096
PULSE_SECONDS = 0.1
REQUEST_LINE = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1")
SHORT = 1 << 16
SINK_END = b"\r\n0\r\n\r\n"

Request = collections.namedtuple("Request", "method path fields body")


class Seen:
    """What an origin has seen: requests, and those that must not have come."""

    def __init__(self):
        self.requests = 0
        self.smuggled = 0
        self.ambiguous = []
        self.stall_s = 0.0  # for how long it could not run, at most: machines that are busy do that


class Origin(asyncio.Protocol):
    """A connection: one request after another, strictly read.

    | path | answer |
    |---|---|
    | `/echo/…` | the path |
    | `/bytes/SEED/SIZE` | as many bytes of noise, in chunks if `Chunked: yes` was asked for |
    | `/mirror` | the body of the request, framed as it came |
    | `/sink` | the path; a body in chunks is not looked at but for its end, which is much faster |
    | `/seen` | what it has seen, in JSON |
    """

    def __init__(self, seen):
        self.seen = seen
        self.buffer = bytearray()
        self.head = None
        self.body = bytearray()
        self.left = 0  # of a body or of a chunk
        self.step = self._head
        self.is_tunnel = False
        self.sending = None
        self.may_send = True

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(SHORT)

    def connection_lost(self, _):
        self.sending = None

    def data_received(self, data):
        if self.is_tunnel:
            self.transport.write(data)
            return
        self.buffer += data
        self._go_on()

    def pause_writing(self):
        self.may_send = False

    def resume_writing(self):
        self.may_send = True
        self._send_more()

    # --- answers; the soak's origin has its own

    def answer(self, request):
        path = request.path.split("?")[0]
        self.seen.requests += 1
        if path.startswith("/smuggled"):
            self.seen.smuggled += 1
        if request.fields.get("upgrade"):
            self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            self.is_tunnel = True
        elif path.startswith("/bytes/"):
            seed, size = map(int, path.split("/")[2:4])
            self.respond(request, pieces(seed, size), size, "chunked" in request.fields)
        elif path == "/mirror":
            body = bytes(request.body)
            self.respond(request, iter([body]), len(body), "transfer-encoding" in request.fields)
        elif path == "/seen":
            body = json.dumps(vars(self.seen)).encode()
            self.respond(request, iter([body]), len(body), False)
        else:
            body = path.encode()
            self.respond(request, iter([body]), len(body), False)

    def respond(self, request, content, size, in_chunks):
        framing = b"Transfer-Encoding: chunked" if in_chunks else b"Content-Length: %d" % size
        head = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n"
        if request.method == "HEAD":
            self.transport.write(head)
        elif size < SHORT and not in_chunks:
            # In one segment, as most servers do.
            self.transport.write(head + b"".join(content))
        else:
            self.transport.write(head)
            self.sending = self._in_chunks(content) if in_chunks else content
            self._send_more()

    @staticmethod
    def _in_chunks(content):
        for piece in content:
            if piece:
                yield chunked(piece, 5000)[:-5]
        yield b"0\r\n\r\n"

    def _send_more(self):
        while self.sending and self.may_send and not self.transport.is_closing():
            piece = next(self.sending, None)
            if piece is None:
                self.sending = None
                self._go_on()
            else:
                self.transport.write(piece)

    # --- requests

    def _go_on(self):
        # The next request waits until the last one is answered: memory for one of them is enough.
        while not self.sending and not self.is_tunnel and not self.transport.is_closing() and self.step():
            pass
        if self.is_tunnel and self.buffer:
            self.transport.write(bytes(self.buffer))
            self.buffer.clear()

    def _head(self):
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        text = bytes(self.buffer[:end])
        del self.buffer[:end + 4]
        first, *lines = text.split(b"\r\n")
        line = REQUEST_LINE.fullmatch(first)
        matches = [FIELD.fullmatch(line) for line in lines]
        if not line or not all(matches):
            return self._refuse(text)
        pairs = [(match[1].decode().lower(), match[2].decode("latin-1")) for match in matches]
        fields = dict(pairs)
        framing = [value for name, value in pairs if name in ("content-length", "transfer-encoding")]
        if len(framing) > 1 or sum(name == "host" for name, _ in pairs) != 1:
            return self._refuse(text)
        self.head = line[1].decode(), line[2].decode("latin-1"), fields
        self.body = bytearray()
        if "transfer-encoding" in fields:
            if fields["transfer-encoding"] != "chunked":
                return self._refuse(text)
            self.step = self._sink if self.head[1] == "/sink" else self._chunk_line
        else:
            length = fields.get("content-length", "0")
            if not length.isdigit():
                return self._refuse(text)
            self.left = int(length)
            self.step = self._body
        if fields.get("expect", "").lower() == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _refuse(self, text):
        self.seen.ambiguous.append(repr(text[:200]))
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self.transport.close()
        return False

    def _body(self):
        taken = self.buffer[:self.left]
        del self.buffer[:self.left]
        self.left -= len(taken)
        self.body += taken
        if self.left:
            return False
        return self._finish()

    def _sink(self):
        is_over = self.buffer.endswith(SINK_END)
        del self.buffer[:-len(SINK_END)]
        if not is_over:
            return False
        self.buffer.clear()
        return self._finish()

    def _chunk_line(self):
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self.buffer[:end])
        if not re.fullmatch(rb"[0-9a-fA-F]{1,15}(;.*)?", line):
            return self._refuse(line)
        del self.buffer[:end + 2]
        self.left = int(line.split(b";")[0], 16)
        self.step = self._chunk if self.left else self._trailer
        return True

    def _chunk(self):
        if len(self.buffer) < self.left + 2:
            return False
        if self.buffer[self.left:self.left + 2] != b"\r\n":
            return self._refuse(b"a chunk longer than its size")
        self.body += self.buffer[:self.left]
        del self.buffer[:self.left + 2]
        self.step = self._chunk_line
        return True

    def _trailer(self):
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self.buffer[:end])
        del self.buffer[:end + 2]
        return True if line else self._finish()

    def _finish(self):
        method, path, fields = self.head
        self.step = self._head
        self.answer(Request(method, path, fields, self.body))
        return True


def serve(channel, seen, make, count=1):
    """For a child: `count` ports of 127.0.0.1 with connections that `make` makes; tells the ports."""

    async def watch():
        while True:
            due = time.monotonic() + PULSE_SECONDS
            await asyncio.sleep(PULSE_SECONDS)
            seen.stall_s = max(seen.stall_s, time.monotonic() - due)

    async def main():
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(make, "127.0.0.1", 0, backlog=BACKLOG) for _ in range(count)]
        watching = asyncio.create_task(watch())
        channel.tell([server.sockets[0].getsockname()[1] for server in servers])
        await loop.run_in_executor(None, channel.stopped.wait)
        watching.cancel()
        for server in servers:
            server.close()

    asyncio.run(main())


def good(channel):
    """For a child: an origin that does what it should."""
    seen = Seen()
    serve(channel, seen, lambda: Origin(seen))
    return seen.stall_s
