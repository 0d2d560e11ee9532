//! Who holds a port: found in /proc, for those who say so.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// What the tables of /proc say of a socket that listens: of TCP, LISTEN; of UDP, that it has no one peer.
const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";

/// Who has a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Another process.
    Another(Process),
    /// This one alone.
    Ourselves,
    /// Nobody that we may look at.
    Unseen,
}

/// A process: `nginx (pid 123)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The name of its program, or what the program calls itself.
    pub name: String,
    /// Its number.
    pub pid: u32,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// Who has `port`, of UDP or of TCP, as far as we may see it.
pub(super) fn holder(port: u16, udp: bool) -> Holder {
    let (tables, state) = match udp {
        true => (["/proc/net/udp", "/proc/net/udp6"], UNCONNECTED),
        false => (["/proc/net/tcp", "/proc/net/tcp6"], LISTENS),
    };
    let tables = tables.iter().filter_map(|table| File::open(table).ok());
    let inodes: Vec<String> = tables.flat_map(|table| listening_inodes(BufReader::new(table), port, state)).collect();
    let mut holder = Holder::Unseen;
    for process in fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()) {
        let Some(pid) = process.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()) else { continue };
        if !has_socket(&process, &inodes) {
            continue;
        }
        if pid != std::process::id() {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            return Holder::Another(Process { name: name.trim_end().to_owned(), pid });
        }
        holder = Holder::Ourselves;
    }
    holder
}

/// Inodes of the sockets in `state` on `port`, from /proc/net/tcp or udp. Line by line: with all connections of a busy
/// machine the table has megabytes.
fn listening_inodes(mut table: impl BufRead, port: u16, state: &str) -> Vec<String> {
    let (mut inodes, mut line) = (Vec::new(), String::new());
    while table.read_line(&mut line).is_ok_and(|len| len > 0) {
        inodes.extend(listening_inode(&line, port, state));
        line.clear();
    }
    inodes
}

fn listening_inode(line: &str, port: u16, state: &str) -> Option<String> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?.rsplit_once(':')?.1;
    let is_listening = fields.nth(1)? == state;
    let same = u16::from_str_radix(local, 16) == Ok(port);
    if is_listening && same { fields.nth(5).map(str::to_owned) } else { None }
}

fn has_socket(process: &Path, inodes: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors.filter_map(Result::ok).filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| {
        let target = target.to_string_lossy();
        let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.is_some_and(|inode| inodes.iter().any(|known| known == inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_of_ours_is_held_by_nobody_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(holder(listener.local_addr().unwrap().port(), false), Holder::Ourselves);
    }

    #[test]
    fn a_port_of_udp_has_another_holder() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(holder(socket.local_addr().unwrap().port(), true), Holder::Ourselves);
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 111 1 0 100 0 0 10 0\n\
             1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000  0 0 222 1 0 100 0 0 10 0\n\
             2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 333 1 0 100 0 0 10 0\n\
             3: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 444 1 0 100 0 0 10 0\n";
        // However it is read.
        for capacity in [1, 64, 4096] {
            let table = BufReader::with_capacity(capacity, table.as_bytes());
            assert_eq!(listening_inodes(table, 8080, LISTENS), ["111", "444"]);
        }
    }
}
