"""An upstream server that misbehaves in the way that the path of a request names.

One `async def` for each way; it has the connection for itself, and whatever it raises ends the connection.
"""
import asyncio
import socket
import time

from .http import RESET
from .origin import BACKLOG

HEAD_BYTES_MAX = 1 << 16
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Whose: ours\r\n\r\nfine"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED_FINE = b"4\r\nfine\r\n0\r\n\r\n"
# Bytes of an endless thing: whoever takes so many has no limit.
ENDLESS_BYTES = 64 << 20
# Longer than the proxy waits.
NEVER_SECONDS = 10


def poison():
    """An answer that nobody asked for, with the moment at which it was sent."""
    body = f"poison {time.monotonic()}".encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Injected: yes\r\n\r\n%b" % (len(body), body)


async def fine(writer, _):
    writer.write(FINE)


async def interims(writer, _):
    await endless(writer, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)


async def endless_head(writer, _):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await endless(writer, b"X-Filler: " + b"a" * 1000 + b"\r\n")


async def endless_line(writer, _):
    writer.write(b"HTTP/1.1 200 OK\r\nX-Filler: ")
    await endless(writer, b"a" * 1000)


async def many_fields(writer, _):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n" + b"X-Field: a\r\n" * 1000 + b"\r\nfine")


async def unasked(writer, _):
    """More than was asked for, at once,"""
    writer.write(FINE + poison())


async def unasked_late(writer, _):
    """or when the connection waits for its next request."""
    writer.write(FINE)
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.write(poison())


SPLITS = [
    b"X-A: a\rX-Injected: yes",
    b"X-A: a\r\rX-Injected: yes",
    b"X-A: a\nX-Injected: yes",
    b"X-A: a\0X-Injected: yes",
    b"X-A: a\r\n X-Injected: yes",
    b"X-A : a",
    b"X A: a",
    b": a",
    b" X-A: a",
    b"X-A",
    b"X-A: a\r\n\rX-Injected: yes",
    b"Set-Cookie: a=\x01\x02\x7f",
]


async def split(writer, number):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n" + SPLITS[int(number)] + b"\r\n\r\nfine")


async def split_reason(writer, _):
    writer.write(b"HTTP/1.1 200 OK\rX-Injected: yes\r\nContent-Length: 4\r\n\r\nfine")


async def length_too_large(writer, how):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"a" * 50)
    await writer.drain()
    if how == "reset":
        # So that the bytes before it have been taken: a reset destroys what is on its way.
        await asyncio.sleep(0.02)
        reset(writer)
    writer.close()


async def length_too_small(writer, _):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine" + b"more" * 10)


FRAMINGS = [
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    b"Content-Length: 4\r\nContent-Length: 9\r\n",
    b"Content-Length: 4, 9\r\n",
    b"Content-Length: +4\r\n",
    b"Content-Length: -4\r\n",
    b"Content-Length: 4x\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n",
    b"Transfer-Encoding: gzip, identity\r\n",
]


async def framing(writer, number):
    writer.write(b"HTTP/1.1 200 OK\r\n" + FRAMINGS[int(number)] + b"\r\n" + CHUNKED_FINE)


async def cut(writer, at):
    """The connection ends after so many bytes of a good answer,"""
    writer.write(FINE[:int(at)])
    writer.close()


async def cut_chunked(writer, at):
    writer.write((CHUNKED + CHUNKED_FINE)[:int(at)])
    writer.close()


async def cut_reset(writer, at):
    """or is reset there."""
    writer.write(FINE[:int(at)])
    await writer.drain()
    await asyncio.sleep(0.005)
    reset(writer)


async def slow(writer, _):
    """A good answer, byte by byte."""
    for at in range(len(FINE)):
        writer.write(FINE[at:at + 1])
        await writer.drain()
        await asyncio.sleep(0.01)


async def never(writer, _):
    await asyncio.sleep(NEVER_SECONDS)


async def chunk_extensions(writer, _):
    writer.write(CHUNKED + b"1")
    await endless(writer, b";name=value" * 100)


async def endless_trailers(writer, _):
    writer.write(CHUNKED + b"4\r\nfine\r\n0\r\n")
    await endless(writer, b"X-Trailer: a\r\n" * 100)


async def one_byte_chunks(writer, _):
    writer.write(CHUNKED)
    for _ in range(20):
        writer.write(b"1\r\nx\r\n" * 1000)
        await writer.drain()
    writer.write(b"0\r\n\r\n")


BAD_CHUNKS = [b"0x4\r\nfine\r\n0\r\n\r\n", b"-4\r\nfine\r\n", b"4\r\nfinest\r\n0\r\n\r\n", b"4\nfine\n0\n\n",
              b"10000000000000000\r\nfine", b"\r\nfine\r\n"]


async def bad_chunk(writer, number):
    writer.write(CHUNKED + BAD_CHUNKS[int(number)])


async def garbage(writer, _):
    writer.write(b"\x00\xff\x16\x03 not HTTP at all\r\n\r\n" * 20)


async def unasked_switch(writer, _):
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: poison\r\n\r\n" + poison())


WAYS = {way.__name__.replace("_", "-"): way for way in (
    fine, interims, endless_head, endless_line, many_fields, unasked, unasked_late, split, split_reason,
    length_too_large, length_too_small, framing, cut, cut_chunked, cut_reset, slow, never, chunk_extensions,
    endless_trailers, one_byte_chunks, bad_chunk, garbage, unasked_switch)}


async def endless(writer, piece):
    for _ in range(ENDLESS_BYTES // len(piece)):
        if writer.is_closing():
            return
        writer.write(piece)
        await writer.drain()


def reset(writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


async def serve_one(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            _, way, *argument = head.split(b" ")[1].decode().split("/")
            await WAYS[way](writer, *argument or [""])
            await writer.drain()
            if writer.is_closing():
                return
    except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        pass  # the proxy has closed the connection, or all is over
    finally:
        writer.close()


def bad(channel):
    """For a child: an origin that misbehaves; tells its port."""

    async def main():
        server = await asyncio.start_server(serve_one, "127.0.0.1", 0, limit=HEAD_BYTES_MAX, backlog=BACKLOG)
        channel.tell([server.sockets[0].getsockname()[1]])
        await asyncio.get_running_loop().run_in_executor(None, channel.stopped.wait)

    asyncio.run(main())
