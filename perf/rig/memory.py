"""Memory and descriptors of a process, and what the kernel holds for TCP."""
import collections
import os
import pathlib
import re

from .sockets import Sockets

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20

# PSS and RSS are those of the process, `own_tcp` is what its sockets hold. `all_tcp` is that of the whole machine, so
# it has the peers' part as well.
Sample = collections.namedtuple("Sample", "pss rss own_tcp all_tcp descriptors")


class Meter:
    """Looks at one proxy. `servers` are the ports of its upstream servers: by them its sockets are known."""

    def __init__(self, proxy, servers):
        self.pid = proxy.pid
        self.sockets = Sockets({port for _, (_, port) in proxy.listeners}, set(servers))

    def sample(self):
        rollup = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        pss, rss = (int(re.search(rf"^{name}:\s+(\d+) kB", rollup, re.M)[1]) * 1024 for name in ("Pss", "Rss"))
        descriptors = len(os.listdir(f"/proc/{self.pid}/fd"))
        return Sample(pss, rss, self.sockets.bytes(), tcp_bytes(), descriptors)


def tcp_bytes():
    """What all TCP sockets of the machine hold in buffers."""
    return int(re.search(r"^TCP:.* mem (\d+)", pathlib.Path("/proc/net/sockstat").read_text(), re.M)[1]) * PAGE_BYTES


def mib(size):
    return f"{size / MIB:.1f}"


def most(samples):
    """The largest of each figure."""
    return Sample(*map(max, zip(*samples)))
