//! Names and IPv6. Nothing is sent from here but what the resolver of the system sends when it is asked.

use super::files::Files;
use super::patience::{Asked, ask as ask_patiently};
use super::{Finding, PATIENCE};
use crate::model::{Config, ServerAddress};
use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// What the resolver says to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has addresses, after so long.
    Found(Duration),
    /// It has none; why.
    Failed(String),
    /// It has not answered.
    Nothing,
}

/// Names that have been asked for.
pub(super) struct Questions {
    world: Asked<Answer>,
    upstreams: Vec<(String, Asked<Answer>)>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answers {
    world: Answer,
    upstreams: Vec<(String, Answer)>,
}

/// A name that is there for this (RFC 2606), whoever asks.
const OF_WORLD: &str = "example.com";
/// Names that are asked for at once.
const NAMES_MAX: usize = 64;

/// Asks for a name of the world, and for those of servers.
pub(super) fn ask(config: Option<&Config>) -> Questions {
    let ask = |name: &str| {
        let name = name.to_owned();
        ask_patiently(move || look_up(&name))
    };
    let names = config.map(upstream_names).unwrap_or_default();
    let upstreams = names.into_iter().take(NAMES_MAX).map(|name| (name.clone(), ask(&name))).collect();
    Questions { world: ask(OF_WORLD), upstreams }
}

impl Questions {
    pub(super) fn answers(self) -> Answers {
        let answer = |asked: Asked<Answer>| asked.answer().unwrap_or(Answer::Nothing);
        let upstreams = self.upstreams.into_iter().map(|(name, asked)| (name, answer(asked))).collect();
        Answers { world: answer(self.world), upstreams }
    }
}

fn look_up(name: &str) -> Answer {
    let begun = Instant::now();
    match (name, 0).to_socket_addrs().map(|mut addresses| addresses.next()) {
        Ok(Some(_)) => Answer::Found(begun.elapsed()),
        Ok(None) => Answer::Failed("no address".to_owned()),
        Err(why) => {
            let why = why.to_string();
            // What std puts in front of what the resolver says.
            Answer::Failed(why.strip_prefix("failed to lookup address information: ").unwrap_or(&why).to_owned())
        }
    }
}

/// The names of servers, each once.
fn upstream_names(config: &Config) -> Vec<String> {
    let servers = config.pools.iter().flat_map(|pool| &pool.servers);
    let names = servers.filter_map(|server| match &server.address {
        ServerAddress::Name { host, .. } => Some(host.clone()),
        ServerAddress::Ip(_) | ServerAddress::Unix(_) => None,
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

/// Who is asked, by /etc/resolv.conf.
pub(super) fn name_servers(files: &Files) -> Vec<String> {
    let text = files.read("/etc/resolv.conf").unwrap_or_default();
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.split_whitespace().next());
    servers.map(str::to_owned).collect()
}

pub(super) fn judge_dns(servers: &[String], answers: &Answers) -> Finding {
    let asked = if servers.is_empty() { "no name server".to_owned() } else { servers.join(", ") };
    let todo = "see `ip route`, `resolvectl status` and /etc/resolv.conf; without the Internet it is as it should be";
    match &answers.world {
        Answer::Found(after) => {
            Finding::ok("dns", format!("{OF_WORLD} found in {} ms, asking {asked}", after.as_millis()))
        }
        Answer::Failed(why) => Finding::hint("dns", format!("{OF_WORLD} not found, asking {asked}: {why}"), todo),
        Answer::Nothing => {
            let seen = format!("no answer for {OF_WORLD} within {} s, asking {asked}", PATIENCE.as_secs());
            Finding::hint("dns", seen, todo)
        }
    }
}

/// A finding for each name that leads nowhere; else one that says that there is none.
pub(super) fn judge_upstreams(config: Option<&Config>, answers: &Answers) -> Vec<Finding> {
    let Some(config) = config else {
        return vec![Finding::ok("upstreams", "none: there is no configuration")];
    };
    let todo = "see whether it is written right and running, and add it to /etc/hosts if nobody else knows it";
    let failed = answers.upstreams.iter().filter_map(|(name, answer)| match answer {
        Answer::Found(_) => None,
        Answer::Failed(why) => Some(Finding::hint("upstreams", format!("{name} leads nowhere: {why}"), todo)),
        Answer::Nothing => {
            let seen = format!("{name}: no answer within {} s", PATIENCE.as_secs());
            Some(Finding::hint("upstreams", seen, todo))
        }
    });
    let failed: Vec<Finding> = failed.collect();
    if !failed.is_empty() {
        return failed;
    }
    let (names, servers) = (answers.upstreams.len(), config.pools.iter().map(|pool| pool.servers.len()).sum::<usize>());
    let told = match (names, servers) {
        (0, 0) => "no server is named".to_owned(),
        (0, _) => "all are written as addresses".to_owned(),
        (NAMES_MAX, _) => format!("the first {NAMES_MAX} names lead to addresses"),
        (1, _) => format!("{} leads to an address", answers.upstreams[0].0),
        (names, _) => format!("all {names} names lead to addresses"),
    };
    vec![Finding::ok("upstreams", told)]
}

/// What there is of IPv6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ipv6 {
    /// Nothing: the kernel has none, or it is off.
    Off,
    /// No address but that of the machine itself and of its links.
    Local,
    /// Addresses of a home or a company that nobody else reaches (RFC 4193).
    Private,
    /// One that the world may reach.
    Global(Ipv6Addr),
}

pub(super) fn read_ipv6(files: &Files) -> Ipv6 {
    let Some(table) = files.read("/proc/net/if_inet6").filter(|table| !table.is_empty()) else { return Ipv6::Off };
    let addresses = table.lines().filter_map(|line| u128::from_str_radix(line.split_whitespace().next()?, 16).ok());
    let addresses: Vec<Ipv6Addr> = addresses.map(Ipv6Addr::from).collect();
    let is_near = |address: &&Ipv6Addr| address.is_unicast_link_local() || address.is_loopback();
    let mut far = addresses.iter().filter(|address| !is_near(address));
    match far.clone().find(|address| !address.is_unique_local()) {
        Some(global) => Ipv6::Global(*global),
        None if far.next().is_some() => Ipv6::Private,
        None => Ipv6::Local,
    }
}

pub(super) fn judge_ipv6(ipv6: &Ipv6) -> Finding {
    let seen = match ipv6 {
        Ipv6::Off => "off: `:80` listens on IPv4 alone".to_owned(),
        Ipv6::Local => "no address for it: clients come by IPv4".to_owned(),
        Ipv6::Private => "addresses for the network at home alone: the world comes by IPv4".to_owned(),
        Ipv6::Global(address) => format!("{}: AAAA records may lead here", IpAddr::V6(*address)),
    };
    Finding::ok("ipv6", seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::doctor::Level;

    #[test]
    fn a_name_server_that_does_not_answer_is_told_with_who_was_asked() {
        let files = Files::Planted(&[(
            "/etc/resolv.conf",
            "# Generated by NetworkManager\nsearch fritz.box\nnameserver 192.168.178.1\nnameserver fd00::1\n",
        )]);
        let servers = name_servers(&files);
        assert_eq!(servers, ["192.168.178.1", "fd00::1"]);
        let judge = |world| judge_dns(&servers, &Answers { world, upstreams: Vec::new() });
        let found = judge(Answer::Found(Duration::from_millis(14)));
        assert_eq!(found, Finding::ok("dns", "example.com found in 14 ms, asking 192.168.178.1, fd00::1"));
        let found = judge(Answer::Nothing);
        assert_eq!((found.level, found.seen.contains("within 2 s")), (Level::Hint, true), "{found:?}");
        let found = judge(Answer::Failed("Temporary failure in name resolution".into()));
        assert!(found.seen.ends_with("fd00::1: Temporary failure in name resolution"), "{found:?}");
        let none = Answers { world: Answer::Nothing, upstreams: Vec::new() };
        assert!(judge_dns(&[], &none).seen.ends_with("asking no name server"));
    }

    #[test]
    fn names_of_servers_are_asked_for_once_and_those_that_fail_are_told() {
        let text = "site = [{ host = '*', upstream = ['http://nextcloud:80', 'http://nextcloud:81', 'http://db:80',
                    'http://127.0.0.1:1'] }]";
        let config = load(text, "a.toml").config.unwrap();
        assert_eq!(upstream_names(&config), ["db", "nextcloud"]);
        let judge = |db| {
            let found = ("nextcloud".to_owned(), Answer::Found(Duration::ZERO));
            let answers = Answers { world: Answer::Nothing, upstreams: vec![("db".to_owned(), db), found] };
            judge_upstreams(Some(&config), &answers)
        };
        let expect = [Finding::ok("upstreams", "all 2 names lead to addresses")];
        assert_eq!(judge(Answer::Found(Duration::ZERO)), expect);
        let found = judge(Answer::Failed("Name or service not known".into()));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].seen, "db leads nowhere: Name or service not known");
        assert_eq!(judge(Answer::Nothing)[0].seen, "db: no answer within 2 s");
    }

    #[test]
    fn addresses_of_the_machine_itself_need_nobody() {
        let answers = ask(None).answers();
        assert_eq!(judge_upstreams(None, &answers)[0].level, Level::Ok);
        assert!(matches!(look_up("127.0.0.1"), Answer::Found(_)));
    }

    #[test]
    fn ipv6_reaches_as_far_as_its_addresses() {
        #[track_caller]
        fn check(table: &'static [(&'static str, &'static str)], told: &str) {
            let found = judge_ipv6(&read_ipv6(&Files::Planted(table)));
            assert_eq!((found.level, found.seen.contains(told)), (Level::Ok, true), "{found:?}");
        }
        check(&[], "off");
        check(&[("/proc/net/if_inet6", "")], "off");
        check(
            &[(
                "/proc/net/if_inet6",
                "00000000000000000000000000000001 01 80 10 80       lo\n\
                 fe80000000000000dea632fffe010203 02 40 20 80     eth0\n",
            )],
            "no address for it",
        );
        check(&[("/proc/net/if_inet6", "fd000000000000000000000000000002 04 40 00 82 eth0\n")], "network at home");
        check(
            &[(
                "/proc/net/if_inet6",
                "fd000000000000000000000000000002 04 40 00 82 eth0\n\
                 20010db8000000000000000000000005 02 40 00 00 eth0\n",
            )],
            "2001:db8::5: AAAA records",
        );
    }
}
