//! How much the kernel may hold of what passes a TCP connection. It counts what it really uses, overhead included;
//! unless told otherwise it goes up to megabytes for each connection whose peer has once been fast, whoever reads it
//! now.

use super::check;
use std::os::fd::RawFd;
use std::sync::OnceLock;

/// What the kernel may hold of one direction of a connection, between us and the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// 32 KiB: what comes beyond it is thrown away, and sent again. For those who are not read for a while.
    Least,
    /// 64 KiB of what is sent, and 128 KiB of what is received, as before anything has come: two segments have to fit,
    /// and those of loopback have 64 KiB. Bytes pass, slowly where the way is long.
    Little,
    /// 416 KiB. More than a pipe takes, so what moves in steps of that size is not held up; and little enough to be still
    /// in the processor's cache when it is moved on. 16 Mbit/s over a way of 150 ms go.
    Usual,
    /// 1280 KiB of what is received. Only where an administrator allows it to be asked for: see [`Hold::for_bytes`].
    More,
    /// 4 MiB of what is sent, 8 MiB of what is received. Where an administrator allows less to be asked for, the kernel
    /// decides again, if its own limit (`tcp_rmem`) is not higher.
    Much,
}

/// Which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Sent,
    Received,
}

/// Asked for; the kernel doubles it for its own overhead.
const LEAST: libc::c_int = 16 * 1024;
const LITTLE_SENT: libc::c_int = 32 * 1024;
const LITTLE_RECEIVED: libc::c_int = 64 * 1024;
/// What Linux has let everybody ask for since ever (`wmem_max`, `rmem_max`).
const USUAL: libc::c_int = 212_992;
const MORE: libc::c_int = 640 * 1024;
pub(crate) const MUCH_SENT: libc::c_int = 2 * 1024 * 1024;
pub(crate) const MUCH_RECEIVED: libc::c_int = 4 * 1024 * 1024;

/// Bits of SO_BUF_LOCK (Linux 5.14): the sizes that were asked for hold, and the kernel changes them no more.
const SENT_LOCKED: libc::c_int = 1;
const RECEIVED_LOCKED: libc::c_int = 2;

impl Hold {
    /// What is enough for so many bytes to come before many of them are received, if it is more than the usual: with what
    /// the kernel needs for them, which is little where segments are large.
    pub fn for_bytes(bytes: u64) -> Option<Hold> {
        let is_allowed = || figure("core/rmem_max", &RECEIVED_MAX) >= MORE;
        match bytes {
            ..=SHORT_BYTES => None,
            ..=MORE_BYTES if is_allowed() => Some(Hold::More),
            _ => Some(Hold::Much),
        }
    }

    /// The most that the kernel holds of what is received, overhead included.
    pub fn received_bytes(self) -> usize {
        let most = 2 * asked(Way::Received, self);
        let allowed = figure("core/rmem_max", &RECEIVED_MAX).saturating_mul(2);
        let tuned = kernel_max(Way::Received);
        let real = if is_left_to_kernel(tuned, most) { allowed.max(tuned) } else { allowed };
        // What cannot be read is not trusted to be small.
        if allowed > 0 { most.min(real) as usize } else { most as usize }
    }
}

/// Bytes of a body for which nobody holds more than the usual.
const SHORT_BYTES: u64 = 256 * 1024;
const MORE_BYTES: u64 = 1024 * 1024;

/// Says how much. On what is no TCP socket it does the same, or nothing.
pub(crate) fn hold(fd: RawFd, way: Way, hold: Hold) {
    let name = if way == Way::Sent { libc::SO_SNDBUF } else { libc::SO_RCVBUF };
    let asked = asked(way, hold);
    set(fd, name, asked);
    if hold == Hold::Much && get(fd, name) < 2 * asked && is_left_to_kernel(kernel_max(way), 2 * asked) {
        let locked = if way == Way::Sent { SENT_LOCKED } else { RECEIVED_LOCKED };
        set(fd, libc::SO_BUF_LOCK, get(fd, libc::SO_BUF_LOCK) & !locked);
    }
}

/// Whether the kernel, which goes up to `tuned`, stays within `most`: then it may decide where it refuses to be asked.
fn is_left_to_kernel(tuned: libc::c_int, most: libc::c_int) -> bool {
    (1..=most).contains(&tuned)
}

fn asked(way: Way, hold: Hold) -> libc::c_int {
    match hold {
        Hold::Least => LEAST,
        Hold::Little if way == Way::Sent => LITTLE_SENT,
        Hold::Little => LITTLE_RECEIVED,
        Hold::Usual => USUAL,
        Hold::More => MORE,
        Hold::Much if way == Way::Sent => MUCH_SENT,
        Hold::Much => MUCH_RECEIVED,
    }
}

/// How far the kernel goes where it decides.
fn kernel_max(way: Way) -> libc::c_int {
    match way {
        Way::Sent => figure("ipv4/tcp_wmem", &SENT_TUNED),
        Way::Received => figure("ipv4/tcp_rmem", &RECEIVED_TUNED),
    }
}

/// What one may ask to be received, and how far the kernel goes by itself.
static RECEIVED_MAX: OnceLock<libc::c_int> = OnceLock::new();
static RECEIVED_TUNED: OnceLock<libc::c_int> = OnceLock::new();
static SENT_TUNED: OnceLock<libc::c_int> = OnceLock::new();

/// Reads what the administrator allows. Cores do it as they are made, while files can be read; later changes count after
/// a restart.
pub(crate) fn learn() {
    let _ = [kernel_max(Way::Sent), kernel_max(Way::Received), figure("core/rmem_max", &RECEIVED_MAX)];
}

/// The last number of a file below `/proc/sys/net`, as it was when it was first asked for.
fn figure(name: &str, read: &OnceLock<libc::c_int>) -> libc::c_int {
    *read.get_or_init(|| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap_or_default();
        text.split_whitespace().last().and_then(|last| last.parse().ok()).unwrap_or(0)
    })
}

/// What the kernel may hold now.
fn get(fd: RawFd, name: libc::c_int) -> libc::c_int {
    let mut value: libc::c_int = 0;
    let mut len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to `value`, and how many to `len`; both live for the call.
    let result = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, (&raw mut value).cast(), &mut len) };
    if check(result).is_ok() { value } else { 0 }
}

fn set(fd: RawFd, name: libc::c_int, value: libc::c_int) {
    let len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes of `value`, which lives for the call. A refusal leaves things as they were.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, name, (&raw const value).cast(), len) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    #[test]
    fn a_connection_holds_what_it_is_told_to_either_way() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let fd = stream.as_raw_fd();
        for (way, name) in [(Way::Sent, libc::SO_SNDBUF), (Way::Received, libc::SO_RCVBUF)] {
            let held = |told| {
                hold(fd, way, told);
                get(fd, name)
            };
            assert_eq!(held(Hold::Least), 2 * LEAST);
            let little = held(Hold::Little);
            assert_eq!(little, 2 * if way == Way::Sent { LITTLE_SENT } else { LITTLE_RECEIVED });
            let usual = held(Hold::Usual);
            assert!(usual > little && usual <= 2 * USUAL, "{usual}");
            let lock = get(fd, libc::SO_BUF_LOCK);
            let much = held(Hold::Much);
            let is_free = get(fd, libc::SO_BUF_LOCK) != lock;
            let most = 2 * if way == Way::Sent { MUCH_SENT } else { MUCH_RECEIVED };
            assert!(much <= most && much >= usual, "{much}");
            assert!(way == Way::Sent || Hold::Much.received_bytes() as libc::c_int >= much);
            assert!(!is_free || kernel_max(way) <= most, "the kernel decides where it stays below");
        }
    }

    #[test]
    fn one_direction_does_not_change_the_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let fd = stream.as_raw_fd();
        hold(fd, Way::Received, Hold::Least);
        hold(fd, Way::Sent, Hold::Much);
        assert_eq!(get(fd, libc::SO_RCVBUF), 2 * LEAST);
        assert_eq!(get(fd, libc::SO_BUF_LOCK) & RECEIVED_LOCKED, RECEIVED_LOCKED);
    }
}
