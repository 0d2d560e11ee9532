//! `ringferry check`: every problem of a configuration at once, of the certificates that it names, and upstream names
//! that do not resolve here.
//!
//! What is a problem is decided in `config`, and in `app` for certificates; only the look-up of names is done here,
//! because `config` does no I/O.

use super::{CheckArgs, Exit, complain, say, source, unix_s};
use crate::app::{Certificates, Failure, Finding, budget, upstream_findings};
use crate::config::{Loaded, Problem, Severity, load};
use crate::limit::Budget;
use crate::model::{Action, Config, ListenerId, PoolId, Protocol, RouteId, ServerAddress, Site, SiteTls};
use serde_json::{Value, json};
use std::net::ToSocketAddrs;

pub(super) fn check(args: CheckArgs) -> Exit {
    let (name, text) = match source::read(&args.config.file) {
        Ok(read) => read,
        Err(exit) => return exit,
    };
    let Loaded { config, problems } = load(&text, &name);
    let findings = config.as_ref().map(findings).unwrap_or_default();
    let unresolved = config.as_ref().map(unresolved).unwrap_or_default();
    let budget = config.as_ref().map(budget).transpose();
    if args.json {
        say(report(&name, &problems, &findings, &unresolved, &budget));
    } else {
        source::print(&problems, &name);
        for finding in &findings {
            complain(format_args!("{}: {finding}; {}", word(finding.severity), finding.problem.fault.hint()));
        }
        unresolved.iter().for_each(|line| complain(format_args!("warning: {line}")));
        if let Err(failure) = &budget {
            complain(format_args!("error: {failure}"));
        }
    }
    let severities = problems.iter().map(|problem| problem.severity);
    let severities = severities.chain(findings.iter().map(|finding| finding.severity));
    let wrong = severities.filter(|severity| *severity == Severity::Error).count();
    let warnings = problems.len() + findings.len() - wrong + unresolved.len();
    let errors = wrong + usize::from(budget.is_err());
    if !args.json {
        if let Ok(Some(budget)) = budget {
            say(format_args!("memory: {budget}"));
        }
        say(summary(&name, config.as_ref(), errors, warnings));
    }
    verdict(errors, warnings, args.strict)
}

fn verdict(errors: usize, warnings: usize, strict: bool) -> Exit {
    match (errors, warnings) {
        (1.., _) => Exit::Configuration,
        (0, 1..) if strict => Exit::Warnings,
        _ => Exit::Ok,
    }
}

/// As in messages and in JSON.
pub(super) fn word(severity: Severity) -> &'static str {
    if severity == Severity::Error { "error" } else { "warning" }
}

/// What is wrong with the certificates of sites, clients and servers.
fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = Certificates::look(config, unix_s()).findings().to_vec();
    findings.extend(upstream_findings(config));
    findings
}

/// One line for each upstream name without an address.
fn unresolved(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    for (id, pool) in (0..).map(PoolId).zip(&config.pools) {
        for server in &pool.servers {
            let ServerAddress::Name { host, port } = &server.address else { continue };
            if let Err(error) = (host.as_str(), *port).to_socket_addrs() {
                lines.push(format!(
                    "{}: upstream name \"{host}\" does not resolve now ({error}); until it does, {}",
                    pool.name,
                    without_servers(config, id)
                ));
            }
        }
    }
    lines
}

/// What clients meet where a pool has no server with an address.
fn without_servers(config: &Config, pool: PoolId) -> &'static str {
    if let Some(stream) = config.streams.iter().find(|stream| stream.pool == pool) {
        let is_udp = |id: &ListenerId| config.listeners[id.index()].protocol == Protocol::Udp;
        return match (stream.listeners.iter().any(is_udp), stream.listeners.iter().all(is_udp)) {
            (_, true) => "datagrams are dropped",
            (true, false) => "connections are closed and datagrams dropped",
            (false, _) => "connections are closed",
        };
    }
    let leads_there = |id: RouteId| config.routes[id.index()].action == Action::Proxy(pool);
    let passes_through = |site: &Site| site.tls == Some(SiteTls::Passthrough) && site.route_ids().any(leads_there);
    if config.sites.iter().any(passes_through) { "connections are closed" } else { "503 is answered" }
}

fn summary(name: &str, config: Option<&Config>, errors: usize, warnings: usize) -> String {
    let counts = match (errors, warnings) {
        (0, 0) => "ok".into(),
        (0, _) => format!("ok, {}", plural(warnings, "warning")),
        _ => format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")),
    };
    let content = config.map(|config| {
        let mut parts = vec![
            plural(config.listeners.len(), "listener"),
            plural(config.sites.len(), "site"),
            plural(config.routes.len(), "route"),
        ];
        if !config.streams.is_empty() {
            parts.push(plural(config.streams.len(), "stream"));
        }
        format!(" ({})", parts.join(", "))
    });
    format!("{name}: {counts}{}", content.unwrap_or_default())
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn report(
    name: &str,
    problems: &[Problem],
    findings: &[Finding],
    unresolved: &[String],
    budget: &Result<Option<Budget>, Failure>,
) -> Value {
    let written = problems.iter().map(|problem| {
        json!({
            "severity": word(problem.severity),
            "line": problem.line,
            "column": problem.column,
            "what": problem.what,
            "hint": problem.hint,
        })
    });
    let found = findings.iter().map(|finding| {
        let hint = finding.problem.fault.hint();
        json!({ "severity": word(finding.severity), "what": finding.to_string(), "hint": hint })
    });
    let looked_up = unresolved.iter().map(|line| json!({ "severity": "warning", "what": line }));
    let too_little = budget.as_ref().err().map(|failure| json!({ "severity": "error", "what": failure.to_string() }));
    let problems: Vec<_> = written.chain(found).chain(looked_up).chain(too_little).collect();
    let mut report = json!({ "file": name, "problems": problems });
    if let Ok(Some(budget)) = budget {
        report["memory"] = json!({
            "ceiling_bytes": budget.ceiling,
            "fixed_bytes": budget.fixed,
            "idle_connections": budget.idle(),
            "active_connections": budget.active(),
        });
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Fault;

    #[test]
    fn errors_are_1_and_warnings_2_only_when_strict() {
        assert_eq!(verdict(0, 0, true), Exit::Ok);
        assert_eq!(verdict(0, 3, false), Exit::Ok);
        assert_eq!(verdict(0, 3, true), Exit::Warnings);
        assert_eq!(verdict(1, 3, true), Exit::Configuration);
        assert_eq!(verdict(1, 0, false), Exit::Configuration);
    }

    #[test]
    fn what_is_wrong_with_certificates_is_told_as_the_rest() {
        let problem = Fault::KeyEncrypted.of("/a.key");
        let finding = Finding { concerns: vec!["a.test".into(), "b.test".into()], severity: Severity::Error, problem };
        let expect = json!({ "file": "a.toml", "problems": [{
            "severity": "error",
            "what": "a.test, b.test: /a.key: the private key is encrypted",
            "hint": "nobody is there to type its password: openssl pkey -in KEY -out PLAIN_KEY",
        }]});
        assert_eq!(report("a.toml", &[], &[finding], &[], &Ok(None)), expect);
    }

    #[test]
    fn the_last_line_counts_what_was_found() {
        let config = Config::default();
        assert_eq!(summary("a.toml", Some(&config), 0, 0), "a.toml: ok (0 listeners, 0 sites, 0 routes)");
        assert_eq!(summary("a.toml", Some(&config), 0, 1), "a.toml: ok, 1 warning (0 listeners, 0 sites, 0 routes)");
        assert_eq!(summary("a.toml", None, 2, 0), "a.toml: 2 errors, 0 warnings");
        let config = load("stream = [{ listen = 'tcp/:2222', upstream = 'git:22' }]", "a.toml").config;
        let text = "a.toml: ok (1 listener, 0 sites, 0 routes, 1 stream)";
        assert_eq!(summary("a.toml", config.as_ref(), 0, 0), text);
    }

    #[test]
    fn what_clients_meet_without_a_server_depends_on_what_they_speak() {
        #[track_caller]
        fn check(text: &str, expect: &[&str]) {
            let config = load(text, "a.toml").config.expect("no problem is an error");
            let told: Vec<_> = (0..config.pools.len() as u32).map(|id| without_servers(&config, PoolId(id))).collect();
            assert_eq!(told, expect, "{text}");
        }
        check(
            "site = [
               { host = 'a', tls = 'internal', upstream = 'app' },
               { host = 'b', tls = 'passthrough', upstream = 'vpn:443' },
             ]",
            &["503 is answered", "connections are closed"],
        );
        check(
            "stream = [
               { listen = 'tcp/:1', upstream = 'b:1' },
               { listen = 'udp/:1', upstream = 'b:2' },
               { listen = ['tcp/:3', 'udp/:3'], upstream = 'b:3' },
             ]",
            &["connections are closed", "datagrams are dropped", "connections are closed and datagrams dropped"],
        );
    }
}
