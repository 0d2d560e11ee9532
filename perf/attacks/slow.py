"""Attackers that take their time: they cost nothing but what the proxy holds for them."""
import time

from rig.http import request

from . import Attack
from .field import Crowd, goes_on

HOST = "attacked.test"
DOWNLOAD_BYTES = 1 << 26
SMALL_BUFFER = 4096


def slow_heads(field, tally):
    def script():
        yield b"GET /slow HTTP/1.1\r\nHost: attacked.test\r\nX-Slow: "

    with Crowd(field.http, 1000, tally, script) as crowd:
        crowd.run(field, lambda member: crowd.send(member, b"a"))


def slow_bodies(field, tally):
    def script():
        yield b"POST /mirror HTTP/1.1\r\nHost: attacked.test\r\nContent-Length: 1000000\r\n\r\n"

    with Crowd(field.http, 1000, tally, script) as crowd:
        crowd.run(field, lambda member: crowd.send(member, b"a"))


def slow_readers(field, tally):
    def script():
        yield request("GET", f"/bytes/1/{DOWNLOAD_BYTES}", HOST)

    def read(member):
        try:
            received = member.socket.recv(1024)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            crowd.lost(member)
            return
        tally.add("bytes read", len(received))

    with Crowd(field.http, 400, tally, script, reads=False, receive_buffer=SMALL_BUFFER) as crowd:
        crowd.run(field, read)


def idle(field, tally):
    """Each has asked once, and keeps its connection for a next request that never comes."""
    def script():
        yield request("GET", "/echo/idle", HOST)

    with Crowd(field.http, 0, tally, script) as crowd:
        # Not at once, which is an attack of its own.
        while crowd.count < 10_000 and goes_on(field):
            crowd.count += 100
            crowd.turn(0)
            time.sleep(0.05)
        crowd.run(field)


def at_once(field, tally):
    """Ten thousand requests, all of them in flight at the same time; then their connections stay open."""
    def script():
        yield request("GET", "/echo/at-once", HOST)

    with Crowd(field.http, 10_000, tally, script) as crowd:
        crowd.run(field)


ATTACKS = [
    Attack("slow-heads", "slow heads, 1 byte/s", slow_heads, 12),
    Attack("slow-bodies", "slow bodies, 1 byte/s", slow_bodies),
    Attack("slow-readers", "slow readers, 1 KiB/s of 64 MiB", slow_readers, 15),
    Attack("idle", "10,000 idle connections", idle, 15),
    Attack("at-once", "10,000 requests at once", at_once, 12),
]
