"""What the kernel holds for some TCP sockets, from its own list of them (`sock_diag(7)`).

Of a connection on one machine both ends are in that list; this looks at one of them, by its ports.
"""
import socket
import struct

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
ERROR, DONE = 2, 3
SKMEMINFO = 7  # INET_DIAG_SKMEMINFO
# All states but TIME_WAIT (6), whose sockets have no buffers, and LISTEN (10).
STATES = 0xFFF & ~(1 << 6 | 1 << 10)
ANSWER_BYTES = 1 << 18
MESSAGE = struct.Struct("=IHHII")
PORTS = struct.Struct("!HH")
# Bytes of received data, its limit, of sent data, its limit, reserved, queued to be sent, options, backlog, dropped.
MEMORY = struct.Struct("=9I")
ATTRIBUTE = struct.Struct("=HH")


class Sockets:
    """Those with one of these ports at their own end, or one of those at the other."""

    def __init__(self, own_ports, peer_ports):
        self.own_ports = own_ports
        self.peer_ports = peer_ports

    def bytes(self):
        total = 0
        for own, peer, memory in _listed():
            if own in self.own_ports or peer in self.peer_ports:
                received, _, _, _, reserved, queued, options, backlog, _ = memory
                total += received + reserved + queued + options + backlog
        return total


def _listed():
    """Own port, peer's port and memory of each IPv4 socket of TCP."""
    asks = struct.pack("=BBBBI48x", socket.AF_INET, socket.IPPROTO_TCP, 1 << (SKMEMINFO - 1), 0, STATES)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as diag:
        diag.send(MESSAGE.pack(MESSAGE.size + len(asks), SOCK_DIAG_BY_FAMILY, REQUEST_DUMP, 1, 0) + asks)
        while True:
            answer = diag.recv(ANSWER_BYTES)
            at = 0
            while at < len(answer):
                size, kind, *_ = MESSAGE.unpack_from(answer, at)
                if kind == DONE:
                    return
                if kind == ERROR:
                    raise OSError("the kernel does not list its sockets (sock_diag)")
                own, peer = PORTS.unpack_from(answer, at + MESSAGE.size + 4)
                memory = _memory(answer, at + MESSAGE.size + 72, at + size)
                if memory:
                    yield own, peer, memory
                at += (size + 3) & ~3


def _memory(answer, at, end):
    while at < end:
        size, kind = ATTRIBUTE.unpack_from(answer, at)
        if kind == SKMEMINFO:
            return MEMORY.unpack_from(answer, at + ATTRIBUTE.size)
        at += (size + 3) & ~3
    return None
