//! Who holds a port: found in /proc, for the error that says so.

use std::fs;
use std::path::Path;

/// What the tables of /proc say of a socket that listens: of TCP, LISTEN; of UDP, that it has no one peer.
const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";

/// Name and pid of a process that has `port`, of UDP or of TCP, as far as we may see it.
pub(super) fn holder(port: u16, udp: bool) -> Option<String> {
    let (tables, state) = match udp {
        true => (["/proc/net/udp", "/proc/net/udp6"], UNCONNECTED),
        false => (["/proc/net/tcp", "/proc/net/tcp6"], LISTENS),
    };
    let inodes: Vec<String> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, port, state))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    processes.map(|entry| entry.path()).find_map(|process| {
        let pid = process.file_name()?.to_str()?.parse::<u32>().ok()?;
        has_socket(&process, &inodes).then(|| {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            format!("{} (pid {pid})", name.trim_end())
        })
    })
}

/// Inodes of the sockets in `state` on `port`, from the text of /proc/net/tcp or udp.
fn listening_inodes(table: &str, port: u16, state: &str) -> Vec<String> {
    let listening = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        let is_listening = fields.get(3) == Some(&state);
        let same = u16::from_str_radix(local, 16) == Ok(port);
        (is_listening && same).then(|| fields.get(9).map(|inode| inode.to_string())).flatten()
    });
    listening.collect()
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
    fn the_holder_of_a_port_of_ours_is_this_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = holder(port, false).unwrap();
        assert!(found.ends_with(&format!("(pid {})", std::process::id())), "{found}");
    }

    #[test]
    fn a_port_of_udp_has_another_holder() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = holder(port, true).unwrap();
        assert!(found.ends_with(&format!("(pid {})", std::process::id())), "{found}");
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 111 1 0 100 0 0 10 0\n\
             1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000  0 0 222 1 0 100 0 0 10 0\n\
             2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 333 1 0 100 0 0 10 0\n";
        assert_eq!(listening_inodes(table, 8080, LISTENS), ["111"]);
    }
}
