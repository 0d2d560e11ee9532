//! Every default, with its why. What a default bounds is described where it is held: `model`.

use crate::model::{
    Cidr, Hsts, KernelChoice, Limits, Listener, LogFormat, LogSettings, Privileges, Protocol, Timeouts,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Where web servers are looked for, on every address of the machine, IPv4 and IPv6.
pub(super) const LISTEN_HTTP: Listener = everywhere(80, Protocol::Http);
/// The same for those with TLS.
pub(super) const LISTEN_HTTPS: Listener = everywhere(443, Protocol::Https);

/// io_uring takes less CPU for the same work; what must not happen is that a board does not serve for want of it.
pub(super) const KERNEL: KernelChoice = KernelChoice::Auto;

/// Via tells the world what runs here, and few applications read it; CDN-Loop stops loops without it.
pub(super) const VIA: bool = false;

/// Kernels differ in what of TLS they have and in the faults that it had, none takes new keys before 6.14, and ours has run
/// on none that has it: whoever wants it tries it, and a board whose kernel is exchanged goes on as it did.
pub(super) const KERNEL_TLS: bool = false;

/// Most requests end within it; systemd waits 90 s before it kills.
pub(super) const DRAIN: Duration = Duration::from_secs(30);

pub(super) const LIMITS: Limits = Limits {
    // Single sign-on cookies and long referrers pass 32 KiB; applications rarely take more than 64.
    head_bytes: 64 << 10,
    // Browsers send 15 to 30 fields, chains of proxies add their own.
    header_count: 100,
    // With the 800 bytes that an idle connection costs at most, 26 MB: a board of 512 MB keeps working.
    connections: 32_768,
    // One address cannot take all of them; and an office, a campus or a mobile carrier behind one address fits.
    connections_per_client: 16_384,
    // More than the applications of a board answer in seconds: who comes behind so many has left before its turn.
    // Long polls and event streams count, so it is far above what is busy at once.
    requests: 8_192,
    // One client cannot have all of them; an office behind one address whose every desk holds an event stream fits.
    requests_per_client: 2_048,
    // The most requests in flight to one server, from one core, after which none has to connect anew.
    idle_per_server: 128,
};

/// Less is a slip, and so is more. What is the least that works depends on the machine's cores: `limit::Budget`, which
/// has the default as well.
pub(super) const MEMORY_RANGE: std::ops::RangeInclusive<u64> = (1 << 20)..=(1 << 40);

/// More fields than this do not fit the parser's slots.
pub(super) const HEADER_COUNT_MAX: usize = 256;
/// Below it ordinary browsers fail, above it a head is an attack.
pub(super) const HEAD_BYTES_RANGE: std::ops::RangeInclusive<u64> = (1 << 10)..=(1 << 20);
/// More at once is no limit any more; and it keeps the time that a bucket takes to fill far from any overflow.
pub(super) const BURST_MAX: u32 = 10_000;
/// As the burst, which it is unless one is written.
pub(super) const RATE_REQUESTS_MAX: u32 = 10_000;

/// The descriptors that Linux lets a process have unless told otherwise (`fs.nr_open`).
pub(super) const CONNECTIONS_MAX: usize = 1 << 20;

pub(super) const TIMEOUTS: Timeouts = Timeouts {
    // A head fits one packet or a few; who takes longer holds connections on purpose.
    head: Duration::from_secs(15),
    // Browsers reuse a connection for the next click; longer only costs memory.
    idle: Duration::from_secs(60),
    // A phone that changes networks comes back within it.
    body_idle: Duration::from_secs(60),
    // WebSocket applications ping every 20 to 60 s, but event streams may be silent for long.
    tunnel_idle: Duration::from_secs(3600),
    // Three SYNs on the wire (0, 1 and 3 s); a server on the same network answers in milliseconds.
    connect: Duration::from_secs(5),
    // Slow pages exist (reports, first start of an application); applications cut at 60 s themselves.
    first_byte: Duration::from_secs(60),
    // Below the 60 to 75 s after which most applications close, so that we close first and no request is lost.
    upstream_idle: Duration::from_secs(30),
    drain: DRAIN,
};

/// Whoever takes the process over gets what it has: nothing that it does without. Who it becomes is for the file to say:
/// there need be no such user, and files may be readable for another.
pub(super) const PRIVILEGES: Privileges =
    Privileges { user: None, no_new_privs: true, landlock: true, restrict_rings: true, seccomp: true };

/// What every log tool reads.
pub(super) const LOG: LogSettings = LogSettings { format: Some(LogFormat::Combined) };

/// A site that moved: clients keep method and body, and search engines follow. While trying, write 307: browsers
/// remember a permanent redirect.
pub(super) const REDIRECT_STATUS: u16 = 308;

/// What `hsts = true` is. Half a year: what scanners ask for at least, and who gives TLS up again has the last visitor
/// back within it. Hosts below may have no TLS, and a list that browsers come with is hard to leave: both only when
/// they are written.
pub(super) const HSTS: Hsts =
    Hsts { max_age: Duration::from_secs(180 * 86_400), include_subdomains: false, preload: false };
/// What browsers ask for before they take a host on their lists (hstspreload.org).
pub(super) const HSTS_PRELOAD_MIN: Duration = Duration::from_secs(365 * 86_400);

/// As tunnels: shells and databases may be silent for long.
pub(super) const STREAM_IDLE: Duration = Duration::from_secs(3600);
/// DNS answers in a second, and what wants to be reached speaks every 15 to 30 s (WireGuard, VoIP, games); a longer one
/// would let a scan of spoofed addresses fill the table for longer.
pub(super) const STREAM_UDP_IDLE: Duration = Duration::from_secs(60);

/// A server takes its equal share.
pub(super) const WEIGHT: u16 = 1;
/// Requests that wait for a server of a pool: two seconds' worth for a board that answers 500 a second.
pub(super) const QUEUE: usize = 1_000;
/// More would wait longer than anybody stays.
pub(super) const QUEUE_MAX: usize = 100_000;
/// One failure is chance, two may be; three in a row are a server that is down.
pub(super) const EJECT_AFTER: u32 = 3;
/// A server without another beside it is never ejected: nothing is won where requests have nowhere else to go, and
/// three errors of one page would make 503 of all the others. It is ejected as others are where the file asks for it
/// (an `eject_` key), or for requests to wait meanwhile (`hold`): a server is waited for once it counts as down.
pub(super) const EJECT_AFTER_ALONE: u32 = 0;
/// An application restarts within it.
pub(super) const EJECT_FOR: Duration = Duration::from_secs(10);
/// However long a server was down, it is found again within it.
pub(super) const EJECT_MAX: Duration = Duration::from_secs(300);

/// What `loopback` means: this machine.
pub(super) const LOOPBACK: &[Cidr] =
    &[v4([127, 0, 0, 0], 8), Cidr { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix_len: 128 }];

/// What `lan` means: private (RFC 1918), loopback and link-local addresses, and unique local ones (RFC 4193).
pub(super) const LAN: &[Cidr] = &[
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    Cidr { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix_len: 128 },
    Cidr { address: IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), prefix_len: 10 },
    Cidr { address: IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), prefix_len: 7 },
];

const fn everywhere(port: u16, protocol: Protocol) -> Listener {
    let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
    Listener { address, dual_stack: true, protocol, proxy_protocol: None }
}

const fn v4(bytes: [u8; 4], prefix_len: u8) -> Cidr {
    Cidr { address: IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])), prefix_len }
}
