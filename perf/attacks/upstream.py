"""Upstream servers that misbehave, asked by clients that look closely at what they get.

What each may get is said by a check: it takes a response, or how there was none, and tells what is wrong with it.
"""
import itertools
import threading
import time

from rig.bad_origin import BAD_CHUNKS, CHUNKED, CHUNKED_FINE, FINE, FRAMINGS, SPLITS
from rig.http import Broken, Wire, request

from . import Attack
from .field import ATTACKER, goes_on

HOST = "bad.test"
CLIENTS = 8
ANSWER_SECONDS = 8
INTERIMS_MAX = 64
# How long before a request unasked bytes must have been sent, for the proxy to have had a chance to see them.
TELLING_SECONDS = 0.1
HEAD_END = FINE.index(b"\r\n\r\n") + 4
CHUNKED_HEAD_END = len(CHUNKED)
NO_STATUS = 0


def ask(field, tally, paths, check, telling=0.0):
    """Some clients, each with a connection of its own that it keeps while it can, ask for `paths` in turn.

    `telling`: they pause for longer than that, and unasked bytes that came later than that before a request are let be.
    """
    lock = threading.Lock()
    turns = itertools.cycle(paths)

    def client():
        wire = None
        while goes_on(field):
            with lock:
                path = next(turns)
            asked = time.monotonic()
            try:
                wire = wire or Wire(field.http, ATTACKER, seconds=ANSWER_SECONDS)
                reply, how = wire.exchange(request("GET", path, HOST)), "complete"
            except Broken as broken:
                reply, how = None, str(broken)
            except ConnectionResetError:
                reply, how = None, "reset"
            except TimeoutError:
                reply, how = None, "no answer"
            with lock:
                tally.add("requests")
                if telling and is_too_late(reply, asked - telling):
                    tally.add("unasked bytes too late to tell")
                    continue
                wrong = unclean(reply, wire) or check(path, reply, how)
                tally.add(f"answers {reply.status}" if reply else how.split(":")[0])
                if wrong:
                    tally.is_wrong(f"{path}: {wrong}")
            if wire and (reply is None or not reply.keeps()):
                wire.close()
                wire = None
            time.sleep(2 * telling)
        if wire:
            wire.close()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def is_too_late(reply, since):
    """Bytes that nobody had asked for came when somebody had: then they are an answer as good as any other."""
    return reply is not None and reply.body.startswith(b"poison") and float(reply.body[7:]) > since


def unclean(reply, wire):
    """What is wrong with any response."""
    if reply is None:
        return None
    if reply.body.startswith(b"poison"):
        return "bytes that nobody asked for have become an answer"
    if wire.rest:
        return f"more came than was asked for: {wire.rest[:40]!r}"
    return None


def refused(path, reply, how):
    """A 502, and nothing else."""
    if reply and reply.status == 502 and reply.interims <= INTERIMS_MAX:
        return None
    return seen(reply, how)


def whole(path, reply, how):
    """The answer as it was meant."""
    return None if reply and reply.status == 200 and reply.body == b"fine" else seen(reply, how)


def whole_or_refused(path, reply, how):
    if reply and b"x-injected" in reply.fields and b"\n" not in SPLITS[number_of(path)]:
        return "a field of the server has become two"
    return refused(path, reply, how) and whole(path, reply, how)


def cut_off(path, reply, how):
    """Begun, and not ended: the client must notice."""
    return seen(reply, how) if reply or how == "no answer" else None


def refused_or_cut_off(path, reply, how):
    return refused(path, reply, how) and cut_off(path, reply, how)


def cut_at(path, reply, how):
    """Before the end of the head a 502, before the end of the body a broken connection, else the answer."""
    at, size, head_end = number_of(path), len(FINE), HEAD_END
    if path.startswith("/cut-chunked"):
        size, head_end = len(CHUNKED + CHUNKED_FINE), CHUNKED_HEAD_END
    if at >= size:
        return whole(path, reply, how)
    if at < head_end:
        return refused(path, reply, how)
    # With the head comes what there is of the body, which may be too little to begin an answer with.
    return refused_or_cut_off(path, reply, how)


def timed_out(path, reply, how):
    return None if reply and reply.status == 504 else seen(reply, how)


def chunks_of_one(path, reply, how):
    return None if reply and reply.status == 200 and reply.body == b"x" * 20_000 else seen(reply, how)


def seen(reply, how):
    if reply is None:
        return how
    return f"{reply.status} after {reply.interims} interim responses, body {bytes(reply.body[:20])!r}"


def number_of(path):
    return int(path.rsplit("/", 1)[1])


def interims(field, tally):
    ask(field, tally, ["/interims"], refused)


def endless_heads(field, tally):
    ask(field, tally, ["/endless-head", "/endless-line", "/many-fields"], refused)


def unasked(field, tally):
    ask(field, tally, ["/unasked", "/fine"], whole)


def unasked_late(field, tally):
    ask(field, tally, ["/unasked-late", "/fine"], whole, telling=TELLING_SECONDS)


def unasked_switch(field, tally):
    ask(field, tally, ["/unasked-switch"], refused)


def splitting(field, tally):
    ask(field, tally, [f"/split/{number}" for number in range(len(SPLITS))], whole_or_refused)


def splitting_reason(field, tally):
    ask(field, tally, ["/split-reason"], lambda *got: refused(*got) and whole(*got))


def wrong_length(field, tally):
    def check(path, reply, how):
        return whole(path, reply, how) if path == "/length-too-small" else cut_off(path, reply, how)

    ask(field, tally, ["/length-too-large/close", "/length-too-large/reset", "/length-too-small", "/fine"],
        lambda path, *got: whole(path, *got) if path == "/fine" else check(path, *got))


def framings(field, tally):
    ask(field, tally, [f"/framing/{number}" for number in range(len(FRAMINGS))],
        lambda *got: refused(*got) and whole(*got))


def cuts(field, tally):
    paths = [f"/cut/{at}" for at in range(len(FINE) + 1)]
    paths += [f"/cut-chunked/{at}" for at in range(len(CHUNKED + CHUNKED_FINE) + 1)]
    paths += [f"/cut-reset/{at}" for at in range(len(FINE) + 1)]
    ask(field, tally, paths, cut_at)


def slow(field, tally):
    ask(field, tally, ["/slow"], whole)


def never(field, tally):
    ask(field, tally, ["/never"], timed_out)


def bad_chunks(field, tally):
    ask(field, tally, ["/chunk-extensions", "/endless-trailers", *(f"/bad-chunk/{n}" for n in range(len(BAD_CHUNKS)))],
        refused_or_cut_off)


def one_byte_chunks(field, tally):
    ask(field, tally, ["/one-byte-chunks"], chunks_of_one)


def garbage(field, tally):
    ask(field, tally, ["/garbage"], refused)


ATTACKS = [
    Attack("server-interims", "upstream: 1xx flood", interims),
    Attack("server-endless-head", "upstream: endless head", endless_heads),
    Attack("server-unasked", "upstream: bytes that nobody asked for, at once", unasked),
    Attack("server-unasked-late", "upstream: bytes that nobody asked for, on an idle connection", unasked_late),
    Attack("server-switch", "upstream: a switch that nobody asked for", unasked_switch),
    Attack("server-splitting", "upstream: CR, LF, NUL in fields", splitting),
    Attack("server-splitting-reason", "upstream: CR in the status line", splitting_reason),
    Attack("server-length", "upstream: wrong Content-Length", wrong_length),
    Attack("server-framing", "upstream: ambiguous framing", framings),
    Attack("server-cut", "upstream: closed or reset at each byte", cuts),
    Attack("server-slow", "upstream: answers byte by byte", slow),
    Attack("server-never", "upstream: never an answer", never),
    Attack("server-chunks", "upstream: bad chunks, endless trailers", bad_chunks),
    Attack("server-one-byte-chunks", "upstream: chunks of one byte", one_byte_chunks),
    Attack("server-garbage", "upstream: garbage", garbage),
]
