//! What this machine is called, by its owner and by its clients, and how much memory it has for us.

use nix::unistd::gethostname;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;

/// Its host name; empty where it has none.
pub(super) fn name() -> String {
    gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The names and addresses that a client on this machine or on its network may use for it.
///
/// Of the addresses it is the one by which the machine reaches others, and none of IPv6: those come and go by the day,
/// and nobody types them.
pub(super) fn names() -> Vec<String> {
    let mut names = Vec::new();
    let name = name().to_ascii_lowercase();
    if is_host(&name) {
        // What mDNS answers to.
        let local = (!name.contains('.')).then(|| format!("{name}.local"));
        names.push(name);
        names.extend(local);
    }
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    names.extend(address().map(|address| address.to_string()));
    names
}

fn is_host(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// The address that packets to far away would have. None is sent: connecting a datagram socket only asks for the way.
fn address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // TEST-NET-1 (RFC 5737): far away for everybody.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip().to_canonical() {
        std::net::IpAddr::V4(address) if !address.is_loopback() && !address.is_unspecified() => Some(address),
        _ => None,
    }
}

/// Bytes of memory: of the machine, or of the control group that the process is in, if that has less. `None` where the
/// kernel does not tell.
pub fn memory() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let groups = read(Path::new("/proc/self/cgroup"));
    let machine = meminfo(&read(Path::new("/proc/meminfo")), "MemTotal");
    machine.into_iter().chain(group_limits(&groups, read)).min()
}

/// Bytes in a line of /proc/meminfo: `MemTotal`, `MemAvailable`.
pub fn meminfo(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = lines.next()?.trim().strip_suffix("kB")?;
    Some(kib.trim().parse::<u64>().ok()? << 10)
}

/// The limits of the control group that /proc/self/cgroup names, and of those around it. Version 1 has a line and a
/// folder for memory alone; in a container its path may be another than what is mounted, so the top is looked at as
/// well.
fn group_limits(groups: &str, read: impl Fn(&Path) -> String) -> Vec<u64> {
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(kinds), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match kinds {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if kinds.split(',').any(|kind| kind == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        for around in Path::new(path.trim_start_matches('/')).ancestors() {
            // A group without a limit says "max", or in version 1 a number that no machine has.
            limits.extend(read(&Path::new(root).join(around).join(file)).trim().parse::<u64>().ok());
        }
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn memory_is_that_of_the_machine_or_of_the_smallest_group_around_us() {
        #[track_caller]
        fn check(groups: &str, files: &[(&str, &str)], expect: &[u64]) {
            let files: HashMap<&Path, &str> = files.iter().map(|(path, text)| (Path::new(*path), *text)).collect();
            let read = |path: &Path| files.get(path).copied().unwrap_or_default().to_owned();
            assert_eq!(group_limits(groups, read), expect);
        }
        assert_eq!(meminfo("MemTotal:         948280 kB\nMemFree: 1 kB\n", "MemTotal"), Some(948_280 << 10));
        assert_eq!(meminfo("MemFree: 1 kB\n", "MemTotal"), None);
        let (own, around) =
            ("/sys/fs/cgroup/system.slice/r.service/memory.max", "/sys/fs/cgroup/system.slice/memory.max");
        check("0::/system.slice/r.service\n", &[(own, "max\n"), (around, "536870912\n")], &[536_870_912]);
        check("0::/\n", &[], &[]);
        let (own, top) =
            ("/sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes");
        let groups = "5:memory:/docker/a\n4:cpu,cpuacct:/x\n";
        check(groups, &[(own, "67108864"), (top, "9223372036854771712")], &[67_108_864, 9_223_372_036_854_771_712]);
        assert!(memory().is_none_or(|bytes| bytes > 0));
    }

    #[test]
    fn a_machine_has_names_that_can_stand_in_a_certificate() {
        let names = names();
        for always in ["localhost", "127.0.0.1", "::1"] {
            assert!(names.iter().any(|name| name == always), "{names:?}");
        }
        assert!(names.iter().all(|name| is_host(name) || name.contains(':')), "{names:?}");
        for odd in ["", "a b", "pi_1", "zoë"] {
            assert!(!is_host(odd), "{odd}");
        }
    }
}
