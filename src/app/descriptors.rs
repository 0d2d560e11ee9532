//! How many descriptors connections may have, of those that the system lets us open.

use crate::room::RESERVE_MAX;
use nix::sys::resource::{Resource, getrlimit};

/// How many this process may have open.
pub(super) fn limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}

/// How many of `limit` each core may have for connections, flows and what those need.
pub fn for_connections(limit: u64, cores: usize) -> u64 {
    let each = (limit.saturating_sub(OF_PROCESS) / cores.max(1) as u64).saturating_sub(OF_CORE);
    // Half as many as this leaves are set aside (`Room::set_aside`), and open as well.
    (each - (each / 3).min(RESERVE_MAX)).max(MIN)
}

/// What there is to say where that is fewer than there may be connections; else nothing.
pub(super) fn remark(connections: usize, limit: u64, cores: usize) -> String {
    let room = for_connections(limit, cores).saturating_mul(cores as u64);
    if room >= connections as u64 {
        return String::new();
    }
    format!(
        "limits.connections is {connections}, and with {limit} descriptors there is room for {room}, half as many while \
         all are busy; raise LimitNOFILE of the service (`ulimit -n`), or write a lower limit\n"
    )
}

/// Standard streams, the admin socket, and what the control plane looks names and files up with.
const OF_PROCESS: u64 = 32;
/// Its ring, its listeners, some pipes.
const OF_CORE: u64 = 32;
/// With less there would be no service at all; what is missing then is given up elsewhere when it is needed.
const MIN: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_shared_out_and_some_are_left_for_the_rest() {
        assert_eq!(for_connections(256, 1), 128);
        assert_eq!(for_connections(256, 2), 54);
        assert_eq!(for_connections(1_024, 4), 152);
        assert_eq!(for_connections(1 << 20, 4), 262_040);
        assert_eq!(for_connections(64, 4), MIN);
        assert!(for_connections(u64::MAX, 2) > 1 << 60);
    }

    #[test]
    fn too_few_of_them_are_worth_a_line() {
        assert_eq!(remark(32_768, 1 << 20, 4), "");
        assert_eq!(remark(100, 256, 1), "");
        assert!(remark(129, 256, 1).starts_with("limits.connections is 129, and with 256 descriptors"));
    }
}
