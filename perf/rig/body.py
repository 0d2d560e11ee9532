"""Bodies that both ends can make and that no other exchange has: a misplaced byte shows."""
import random

SIZE_MAX = 1 << 26
_NOISE = random.Random(1).randbytes(1 << 21)
_START_MAX = 1 << 20


def body(seed, size):
    """`size` bytes of noise, from a place that follows from `seed`."""
    return b"".join(pieces(seed, size))


def pieces(seed, size):
    """The same in pieces, for bodies that nobody should hold whole."""
    at = seed * 7919 % _START_MAX
    while size > 0:
        piece = _NOISE[at:at + min(size, 1 << 18)]
        yield piece
        size -= len(piece)
        at = (at + len(piece)) % _START_MAX
