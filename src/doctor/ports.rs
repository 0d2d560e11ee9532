//! The addresses that are to be listened on: free, or held by whom.

use super::{Finding, Running};
use crate::app::{Holder, Obstacle, obstacle};
use crate::model::{Config, Listener};
use nix::unistd::geteuid;

/// An address, and what is in its way.
pub(super) struct Port {
    listener: Listener,
    obstacle: Option<Obstacle>,
}

/// Tries the addresses of a configuration.
pub(super) fn read(config: &Config) -> Vec<Port> {
    let tried =
        config.listeners.iter().map(|listener| Port { obstacle: obstacle(listener), listener: listener.clone() });
    tried.collect()
}

/// What they are called, by their kernel: no more than 15 bytes.
const OURSELVES: &str = "ringferry";

/// Servers whose service is called as their program is.
const SERVICES: &[&str] = &["apache2", "caddy", "haproxy", "lighttpd", "nginx", "pihole-FTL", "traefik"];

pub(super) fn judge_all(ports: &[Port], is_configured: bool, running: &Running) -> Vec<Finding> {
    if ports.is_empty() {
        return vec![Finding::ok("ports", "the configuration listens nowhere: it has no site")];
    }
    let is_root = geteuid().is_root();
    ports.iter().map(|port| judge(port, is_configured, is_root, running)).collect()
}

fn judge(port: &Port, is_configured: bool, is_root: bool, running: &Running) -> Finding {
    let url = port.listener.url();
    let Some(obstacle) = &port.obstacle else {
        return Finding::ok("ports", format!("{url} is free"));
    };
    let seen = format!("{url}: {}", obstacle.cause());
    let remedy = || obstacle.remedy().unwrap_or_else(|| "listen on another address".to_owned());
    match obstacle {
        Obstacle::Held(Holder::Another(process)) if process.name == OURSELVES => Finding::ok("ports", seen),
        // Whose sockets only root sees.
        Obstacle::Held(_) if running.listens_on(&url) => {
            Finding::ok("ports", format!("{url}: the Ringferry that runs holds it"))
        }
        Obstacle::Held(Holder::Another(process)) => {
            let number = port.listener.address.port();
            let todo = match &*process.name {
                "docker-proxy" => {
                    format!("docker ps --filter publish={number}: stop that container, or publish another")
                }
                name if SERVICES.contains(&name) => format!("sudo systemctl disable --now {name}"),
                _ => remedy(),
            };
            // Without a configuration nobody has said that it is wanted.
            if is_configured { Finding::bad("ports", seen, todo) } else { Finding::hint("ports", seen, todo) }
        }
        Obstacle::Held(_) if !is_root => {
            let seen = format!("{url} is in use; by whom only root can see");
            Finding::hint("ports", seen, "sudo ringferry doctor")
        }
        Obstacle::Held(_) => Finding::hint("ports", seen, remedy()),
        // The service has the right that a person who asks lacks.
        Obstacle::NotAllowed if !is_root => Finding::hint("ports", seen, remedy()),
        Obstacle::NotAllowed | Obstacle::NotHere | Obstacle::Other(_) => Finding::bad("ports", seen, remedy()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Process;
    use crate::doctor::Level;
    use std::io;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

    #[test]
    fn who_holds_a_port_decides_how_it_is_meant() {
        #[track_caller]
        fn check(obstacle: Option<Obstacle>, is_configured: bool, is_root: bool, level: Level, told: &str) {
            let listener = Listener::http((Ipv6Addr::UNSPECIFIED, 80).into(), true);
            let running = Running::planted("io_uring", None, &["https://[::]:443"]);
            let found = judge(&Port { listener, obstacle }, is_configured, is_root, &running);
            assert_eq!(found.level, level, "{found:?}");
            assert!(format!("{} > {:?}", found.seen, found.todo).contains(told), "{found:?}");
        }
        let held = |name: &str| Some(Obstacle::Held(Holder::Another(Process { name: name.into(), pid: 612 })));
        check(None, true, false, Level::Ok, "http://[::]:80 is free");
        check(held("ringferry"), true, true, Level::Ok, "ringferry (pid 612) holds it");
        check(
            held("nginx"),
            true,
            true,
            Level::Bad,
            "nginx (pid 612) holds it > Some(\"sudo systemctl disable --now nginx",
        );
        check(held("nginx"), false, true, Level::Hint, "systemctl");
        check(held("docker-proxy"), true, true, Level::Bad, "docker ps --filter publish=80");
        check(held("python3"), true, true, Level::Bad, "stop that, or listen on another address");
        let unseen = || Some(Obstacle::Held(Holder::Unseen));
        check(
            unseen(),
            true,
            false,
            Level::Hint,
            "is in use; by whom only root can see > Some(\"sudo ringferry doctor",
        );
        check(unseen(), true, true, Level::Hint, "by whom cannot be seen");
        check(Some(Obstacle::NotAllowed), true, false, Level::Hint, "setcap cap_net_bind_service");
        check(Some(Obstacle::NotAllowed), true, true, Level::Bad, "setcap cap_net_bind_service");
        check(Some(Obstacle::NotHere), true, true, Level::Bad, "ip address");
        let odd = Obstacle::Other(io::Error::from_raw_os_error(12));
        check(Some(odd), true, true, Level::Bad, "Cannot allocate memory");
    }

    #[test]
    fn what_the_running_one_says_of_itself_counts() {
        let listener = Listener::http((Ipv6Addr::UNSPECIFIED, 80).into(), true);
        let port = Port { listener, obstacle: Some(Obstacle::Held(Holder::Unseen)) };
        let running = Running::planted("io_uring", None, &["http://[::]:80"]);
        let expect = Finding::ok("ports", "http://[::]:80: the Ringferry that runs holds it");
        assert_eq!(judge(&port, true, false, &running), expect);
    }

    #[test]
    fn addresses_are_tried() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = Listener::http(held.local_addr().unwrap(), false);
        let any = Listener::http((Ipv4Addr::LOCALHOST, 0).into(), false);
        let config = Config { listeners: vec![taken, any], ..Config::default() };
        let obstacles: Vec<_> = read(&config).into_iter().map(|port| port.obstacle).collect();
        assert!(matches!(obstacles[..], [Some(Obstacle::Held(Holder::Ourselves)), None]), "{obstacles:?}");
        assert_eq!(judge_all(&[], true, &Running::No)[0].level, Level::Ok);
    }
}
