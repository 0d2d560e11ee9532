"""Bytes that mean nothing, and handshakes that are never finished."""
import itertools
import random
import ssl

from . import Attack
from .field import Crowd

CONNECTIONS = 100
HALF_HANDSHAKES = 1000


def garbage(field, tally):
    noise = random.Random(2)

    def script():
        yield noise.choice([b"", b"GET ", b"\x00", b"\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01"])
        for _ in range(noise.randrange(1, 8)):
            yield noise.randbytes(noise.randrange(1, 4096))
        yield b"\r\n\r\n"

    with Crowd(field.http, CONNECTIONS, tally, script) as crowd:
        crowd.run(field)


def tls_garbage(field, tally):
    """Noise, noise in records, and a ClientHello of which some bytes are others."""
    noise = random.Random(3)
    good = hello()

    def script():
        kind = noise.randrange(3)
        if kind == 0:
            yield noise.randbytes(noise.randrange(1, 4096))
        elif kind == 1:
            size = noise.randrange(1, 1 << 14)
            yield b"\x16\x03\x01" + size.to_bytes(2, "big") + noise.randbytes(size)
        else:
            bad = bytearray(good)
            for _ in range(noise.randrange(1, 20)):
                bad[noise.randrange(len(bad))] = noise.randrange(256)
            yield bytes(bad)
            yield noise.randbytes(noise.randrange(1, 1000))

    with Crowd(field.https, CONNECTIONS, tally, script) as crowd:
        crowd.run(field)


def half_handshakes(field, tally):
    """In turn: a whole ClientHello, half of one, and one that comes byte by byte. Then nothing."""
    good = hello()
    kinds = itertools.cycle([good, good[:len(good) // 2], good[:6]])

    def script():
        yield next(kinds)

    with Crowd(field.https, HALF_HANDSHAKES, tally, script) as crowd:
        crowd.run(field)


def handshakes(field, tally):
    """A whole ClientHello on each new connection, which the proxy answers at the price of a signature."""
    good = hello()

    def script():
        yield good

    def again(member):
        if member.answer:
            crowd.drop(member)

    with Crowd(field.https, CONNECTIONS, tally, script) as crowd:
        crowd.run(field, again, every=0.05)


def hello():
    """The first message of a client that asks for the site with TLS."""
    sent = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    connection = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="safe.test")
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return sent.read()


ATTACKS = [
    Attack("garbage", "garbage", garbage),
    Attack("tls-garbage", "garbage instead of TLS", tls_garbage),
    Attack("half-handshakes", "half handshakes, then silence", half_handshakes, 12),
    Attack("handshakes", "handshakes broken off", handshakes),
]
