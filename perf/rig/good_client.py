"""A client that does nothing wrong, asks at a steady pace, and notes how it is served.

Latency counts from the moment at which a request was due: a client that was made to wait does not ask less.
"""
import threading
import time

from .http import Broken, Wire, request

ADDRESS = "127.0.0.1"
ANSWER_SECONDS = 10
FAILURES_SHOWN = 5
PULSE_SECONDS = 0.05

# Threads, requests per second of each, through TLS, over a connection that is kept.
STREAMS = [
    (5, 10, False, True),
    (2, 10, False, False),
    (1, 10, True, True),
    (1, 5, True, False),
]


class Served:
    """How it was served: requests, failures, latencies in seconds; and for how long at most it could not run itself."""

    def __init__(self):
        self.requests = 0
        self.failures = []
        self.latencies = []
        self.stall_s = 0.0
        self.lock = threading.Lock()

    def summary(self):
        """So much is told to whoever watches."""
        with self.lock:
            latencies = sorted(self.latencies)
            return {
                "requests": self.requests,
                "failures": len(self.failures),
                "shown": self.failures[:FAILURES_SHOWN],
                "worst_s": latencies[-1] if latencies else 0.0,
                "p99_s": latencies[len(latencies) * 99 // 100] if latencies else 0.0,
                "stall_s": self.stall_s,
            }


def good_client(channel, http, https, authority):
    """For a child: asks until it is stopped; what it returns is a summary."""
    import ssl
    tls = ssl.create_default_context(cafile=authority)
    served = Served()
    threads = [threading.Thread(target=_feel, args=(channel.stopped, served), daemon=True)]
    for stream, (count, pace, is_tls, keeps) in enumerate(STREAMS):
        for number in range(count):
            name = f"{stream}-{number}"
            arguments = (channel.stopped, served, https if is_tls else http, tls if is_tls else None, keeps, pace, name)
            threads.append(threading.Thread(target=_ask, args=arguments, daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return served.summary()


def _feel(stopped, served):
    """How long it is kept from running itself, at most: a latency of that size is not the proxy's."""
    while True:
        due = time.monotonic() + PULSE_SECONDS
        if stopped.wait(PULSE_SECONDS):
            return
        served.stall_s = max(served.stall_s, time.monotonic() - due)


def _ask(stopped, served, address, tls, keeps, pace, name):
    host = "safe.test" if tls else "good.test"
    wire = None
    due = time.monotonic()
    number = 0
    while not stopped.wait(max(0.0, due - time.monotonic())):
        path = f"/echo/good-{name}-{number}"
        failure = None
        try:
            wire = wire or Wire(address, ADDRESS, tls, host, ANSWER_SECONDS)
            fields = () if keeps else ("Connection: close",)
            reply = wire.exchange(request("GET", path, host, fields))
            if reply.status != 200:
                failure = f"status {reply.status}"
            elif reply.body != path.encode() or b"x-injected" in reply.fields:
                failure = f"the answer of somebody else: {bytes(reply.body[:40])!r}"
        except (OSError, Broken) as error:
            failure = f"{type(error).__name__}: {error}"
        ended = time.monotonic()
        with served.lock:
            served.requests += 1
            served.latencies.append(ended - due)
            if failure:
                served.failures.append(f"{path}{' through TLS' if tls else ''}: {failure}")
        if wire and (failure or not keeps or not reply.keeps()):
            wire.close()
            wire = None
        number += 1
        due += 1 / pace
    if wire:
        wire.close()
