//! `ringferry status`: what a running process is doing, as text for a person or as it came.

use super::ask::ask_for;
use super::{Exit, cert, say, unix_s, wants_color};
use crate::control::{
    Answer, MeasureState, MemoryStatus, Numbers, PoolStatus, PrivilegeStatus, Request, ServerState, ServerStatus,
    Status, TlsStatus,
};
use crate::model::bytes;
use crate::tls::INTERNAL;
use std::fmt::Write;
use std::io;
use std::ops::Range;
use std::path::Path;

pub(super) fn status(admin: &Path, json: bool) -> Exit {
    let status = ask_for(admin, Request::Status {}, |answer| match answer {
        Answer::Status(status) => Some(status),
        _ => None,
    });
    let status = match status {
        Ok(status) => status,
        Err(exit) => return exit,
    };
    if json {
        say(serde_json::to_string_pretty(&status).unwrap_or_default());
    } else {
        say(render(&status, unix_s(), wants_color(&io::stdout())).trim_end());
    }
    Exit::Ok
}

fn render(status: &Status, now_unix_s: u64, color: bool) -> String {
    let mut out = String::new();
    let snapshot = &status.snapshot;
    line(
        &mut out,
        format_args!(
            "ringferry {}, process {}, on {}, up {}{}",
            status.version,
            status.pid,
            status.kernel.name,
            span(status.uptime_s * 1000),
            if status.draining { ", draining" } else { "" }
        ),
    );
    let age = span(now_unix_s.saturating_sub(snapshot.published_unix_s) * 1000);
    line(&mut out, format_args!("snapshot {} of {}, {age} old", snapshot.generation, snapshot.source));
    if let Some(why) = &status.kernel.refused {
        line(&mut out, format_args!("warning: {why}"));
    }
    for listener in &status.listeners {
        line(&mut out, format_args!("listening on {}", listener.address));
    }
    line(&mut out, format_args!("{}", privileges(&status.privileges)));
    let MemoryStatus { ceiling_bytes, used_bytes, waiting } = status.memory;
    if ceiling_bytes > 0 {
        let waiting = if waiting > 0 { format!(", {waiting} waiting for some") } else { String::new() };
        line(&mut out, format_args!("memory {} of {}{waiting}", bytes(used_bytes), bytes(ceiling_bytes)));
    }
    out.push('\n');
    numbers(&mut out, status);
    if !status.tls.is_empty() {
        out.push('\n');
        certificates(&mut out, &status.tls, now_unix_s, color);
    }
    for pool in &status.pools {
        out.push('\n');
        self::pool(&mut out, pool, color);
    }
    out
}

/// What has been given up, in one line; and why the rest has not.
fn privileges(status: &PrivilegeStatus) -> String {
    let PrivilegeStatus { user, no_new_privs, landlock, rings, seccomp } = status;
    let all = [
        ("user", user),
        ("no_new_privs", no_new_privs),
        ("Landlock", landlock),
        ("restricted rings", rings),
        ("seccomp", seccomp),
    ];
    let told = |state: &[MeasureState]| -> Vec<String> {
        let told = all.iter().filter(|(_, measure)| state.contains(&measure.state));
        let text = told.map(|(name, measure)| match &*measure.detail {
            "" => (*name).to_owned(),
            detail if *name == "user" && measure.is_on() => format!("user {detail}"),
            detail => format!("{name} ({detail})"),
        });
        text.collect()
    };
    let (on, refused) =
        (told(&[MeasureState::On, MeasureState::Partly]).join(", "), told(&[MeasureState::Unavailable]).join(", "));
    let on = if on.is_empty() { "not confined".to_owned() } else { format!("confined by {on}") };
    if refused.is_empty() { on } else { format!("{on}; not to be had: {refused}") }
}

fn numbers(out: &mut String, status: &Status) {
    let mut rows = vec![["", "open", "requests", "4xx", "5xx", "errors", "retries", "in", "out"].map(Cell::from)];
    // One core is its own total.
    if status.cores.len() > 1 {
        rows.extend(status.cores.iter().map(|core| row(format!("core {}", core.core), &core.numbers)));
    }
    rows.push(row("all".to_owned(), &status.totals));
    table(out, &rows, 1..9);

    for core in status.cores.iter().filter(|core| core.generation != status.snapshot.generation) {
        line(out, format_args!("core {} is still at snapshot {}", core.core, core.generation));
    }
    let totals = &status.totals;
    for (count, what) in [
        (totals.tunnels, "tunnels open"),
        (totals.flows, "flows of datagrams open"),
        (totals.datagrams_dropped, "datagrams not passed on"),
        (totals.upstream_idle, "connections to servers kept for reuse"),
        (totals.accept_errors, "connections not accepted"),
        (totals.idle_ended, "idle connections of clients ended for others to come"),
        (totals.upstream_ended, "kept connections to servers closed for their descriptors"),
        (totals.denied, "requests and connections of clients that are not allowed"),
        (totals.over_rate, "requests over the rate of their client"),
        (totals.over_requests, "requests refused because too many were in flight"),
        (totals.log_lines_dropped, "lines of the access log dropped: nobody reads them fast enough"),
        (totals.panics, "connections closed by a bug: please report what the log says"),
    ] {
        if count > 0 {
            line(out, format_args!("{count} {what}"));
        }
    }
}

fn row(name: String, numbers: &Numbers) -> [Cell; 9] {
    [
        name,
        numbers.connections.to_string(),
        numbers.requests.to_string(),
        numbers.responses_4xx.to_string(),
        numbers.responses_5xx.to_string(),
        numbers.errors.to_string(),
        numbers.retries.to_string(),
        bytes(numbers.bytes_in),
        bytes(numbers.bytes_out),
    ]
    .map(Cell::from)
}

/// What each site that ends TLS shows, one line for each certificate.
fn certificates(out: &mut String, sites: &[TlsStatus], now_unix_s: u64, color: bool) {
    let mut rows = vec![["TLS", "certificate", ""].map(Cell::from)];
    let mut add = |site: &str, certificate: &str, remark: String, is_bad: bool| {
        let mut cells = [site, certificate, &remark].map(Cell::from);
        if is_bad && color {
            cells[2].paint = RED;
        }
        rows.push(cells);
    };
    for site in sites {
        if !site.serves {
            add(&site.site, "none", "clients are turned away; `ringferry check` says why".to_owned(), true);
            continue;
        }
        for (index, found) in site.certificates.iter().enumerate() {
            let until = cert::until(found.valid_until_unix_s, now_unix_s);
            let is_over = found.valid_until_unix_s < now_unix_s;
            let renewed = if found.origin == INTERNAL { ", renewed by itself" } else { "" };
            let remark = format!("{}, {until}{renewed}", found.key);
            add(if index == 0 { &site.site } else { "" }, &found.origin, remark, is_over);
        }
    }
    table(out, &rows, 0..0);
}

fn pool(out: &mut String, pool: &PoolStatus, color: bool) {
    let waiting = if pool.waiting > 0 { format!(", {} waiting", pool.waiting) } else { String::new() };
    line(out, format_args!("pool {}{waiting}", pool.name));
    let mut rows = vec![["  server", "state", "in use", "requests", "failed", ""].map(Cell::from)];
    for server in &pool.servers {
        let mut cells = [
            format!("  {}", server.address),
            state(server),
            server.in_use.to_string(),
            server.requests.to_string(),
            server.failures.to_string(),
            remark(server),
        ]
        .map(Cell::from);
        if color {
            cells[1].paint = paint(server.state);
        }
        rows.push(cells);
    }
    table(out, &rows, 2..5);
}

fn state(server: &ServerStatus) -> String {
    match (server.state, server.ejected_for_ms) {
        (ServerState::Up, _) => "up".to_owned(),
        (ServerState::Ejected, Some(left_ms @ 1..)) => format!("ejected, {}", span(left_ms)),
        (ServerState::Ejected, _) => "ejected, probe due".to_owned(),
        (ServerState::Probing, _) => "probing".to_owned(),
        (ServerState::Unresolved, _) => "unresolved".to_owned(),
    }
}

fn paint(state: ServerState) -> &'static str {
    match state {
        ServerState::Up => GREEN,
        ServerState::Probing => YELLOW,
        ServerState::Ejected | ServerState::Unresolved => RED,
    }
}

/// What a name leads to, and what went wrong last.
fn remark(server: &ServerStatus) -> String {
    let mut remark = String::new();
    if server.addresses.iter().any(|address| *address != server.address) {
        remark = format!("at {}", server.addresses.join(", "));
    }
    if let Some(error) = &server.last_error {
        let separator = if remark.is_empty() { "" } else { "; " };
        _ = write!(remark, "{separator}{error}");
        if let Some(ago_ms) = server.last_error_ago_ms {
            _ = write!(remark, ", {} ago", span(ago_ms));
        }
    }
    remark
}

/// One field of a table; the paint takes no room.
struct Cell {
    text: String,
    paint: &'static str,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), paint: "" }
    }
}

/// Columns two spaces apart, as wide as they must be; those in `numbers` stand to the right.
fn table<const N: usize>(out: &mut String, rows: &[[Cell; N]], numbers: Range<usize>) {
    let width = |column: usize| rows.iter().map(|row| row[column].text.chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let mut text = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let Cell { text: field, paint } = cell;
            let gap = if column > 0 { "  " } else { "" };
            let plain = if paint.is_empty() { "" } else { PLAIN };
            _ = if numbers.contains(&column) {
                write!(text, "{gap}{paint}{field:>width$}{plain}")
            } else {
                write!(text, "{gap}{paint}{field:<width$}{plain}")
            };
        }
        line(out, format_args!("{}", text.trim_end()));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    _ = writeln!(out, "{text}"); // a String takes everything
}

/// The two largest units that matter: `3 d 4 h`, `12 min`, `0 s`.
pub(super) fn span(ms: u64) -> String {
    let s = ms.div_ceil(1000);
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

pub(super) const GREEN: &str = "\x1b[32m";
pub(super) const YELLOW: &str = "\x1b[33m";
pub(super) const RED: &str = "\x1b[31m";
pub(super) const PLAIN: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{CertificateStatus, CoreStatus, KernelStatus, ListenerStatus, MeasureStatus, SnapshotStatus};

    fn example() -> Status {
        let busy =
            Numbers { connections: 12, requests: 34_567, responses_4xx: 8, bytes_out: 5 << 20, ..Default::default() };
        let up = ServerStatus {
            address: "127.0.0.1:2368".into(),
            in_use: 2,
            requests: 34_567,
            addresses: vec!["127.0.0.1:2368".into()],
            ..Default::default()
        };
        let ejected = ServerStatus {
            address: "app.lan:80".into(),
            state: ServerState::Ejected,
            ejected_for_ms: Some(8001),
            failures: 3,
            addresses: vec!["192.168.1.7:80".into()],
            last_error: Some("connection refused".into()),
            last_error_ago_ms: Some(2000),
            ..Default::default()
        };
        Status {
            version: "0.1.0".into(),
            pid: 4711,
            uptime_s: 93_784,
            kernel: KernelStatus { name: "epoll".into(), refused: Some("this kernel has no io_uring".into()) },
            snapshot: SnapshotStatus { generation: 2, published_unix_s: 1000, source: "ringferry.toml".into() },
            listeners: vec![ListenerStatus { address: "http://[::]:80".into() }],
            memory: MemoryStatus { ceiling_bytes: 64 << 20, used_bytes: 21 << 20, waiting: 2 },
            totals: busy,
            cores: vec![
                CoreStatus { core: 0, generation: 2, numbers: busy },
                CoreStatus { core: 1, generation: 1, numbers: Numbers::default() },
            ],
            pools: vec![PoolStatus { name: "blog.example.com/".into(), waiting: 3, servers: vec![up, ejected] }],
            ..Default::default()
        }
    }

    #[test]
    fn a_person_sees_what_matters_at_a_glance() {
        let expect = "\
ringferry 0.1.0, process 4711, on epoll, up 1 d 2 h
snapshot 2 of ringferry.toml, 12 min old
warning: this kernel has no io_uring
listening on http://[::]:80
not confined
memory 21.0 MiB of 64.0 MiB, 2 waiting for some

        open  requests  4xx  5xx  errors  retries   in      out
core 0    12     34567    8    0       0        0  0 B  5.0 MiB
core 1     0         0    0    0       0        0  0 B      0 B
all       12     34567    8    0       0        0  0 B  5.0 MiB
core 1 is still at snapshot 1

pool blog.example.com/, 3 waiting
  server          state         in use  requests  failed
  127.0.0.1:2368  up                 2     34567       0
  app.lan:80      ejected, 9 s       0         0       3  at 192.168.1.7:80; connection refused, 2 s ago
";
        assert_eq!(render(&example(), 1720, false), expect);
    }

    #[test]
    fn who_ends_tls_is_told_how_long_the_certificate_lasts() {
        let certificate = |origin: &str, valid_until_unix_s| CertificateStatus {
            origin: origin.into(),
            key: "ECDSA".into(),
            valid_until_unix_s,
        };
        let site = |site: &str, certificates: Vec<_>| TlsStatus {
            site: site.into(),
            serves: !certificates.is_empty(),
            certificates,
        };
        let sites = [
            site("a.test", vec![certificate("/etc/a.pem", 20 * 86_400), certificate("/etc/old.pem", 86_400)]),
            site("home.test", vec![certificate("internal", 30 * 86_400)]),
            site("broken.test", vec![]),
        ];
        let mut out = String::new();
        certificates(&mut out, &sites, 10 * 86_400, false);
        let expect = "\
TLS          certificate
a.test       /etc/a.pem    ECDSA, until 1970-01-21 (10 days left)
             /etc/old.pem  ECDSA, until 1970-01-02 (over)
home.test    internal      ECDSA, until 1970-01-31 (20 days left), renewed by itself
broken.test  none          clients are turned away; `ringferry check` says why
";
        assert_eq!(out, expect);
    }

    #[test]
    fn what_was_given_up_is_one_line_and_what_could_not_be_says_why() {
        let measure = |state, detail: &str| MeasureStatus { state, detail: detail.into() };
        let status = PrivilegeStatus {
            user: measure(MeasureState::On, "ringferry (uid 990), keeps cap_net_bind_service"),
            no_new_privs: measure(MeasureState::On, ""),
            landlock: measure(MeasureState::Unavailable, "this kernel has no Landlock"),
            rings: measure(MeasureState::Partly, "half"),
            seccomp: MeasureStatus::default(),
        };
        let expect = "confined by user ringferry (uid 990), keeps cap_net_bind_service, no_new_privs, \
                      restricted rings (half); not to be had: Landlock (this kernel has no Landlock)";
        assert_eq!(privileges(&status), expect);
    }

    #[test]
    fn colour_changes_no_width() {
        let colored = render(&example(), 1720, true);
        assert!(colored.contains(&format!("{RED}ejected, 9 s{PLAIN}")), "{colored}");
        assert_eq!(
            [GREEN, RED, PLAIN].iter().fold(colored, |text, code| text.replace(code, "")),
            render(&example(), 1720, false)
        );
    }

    #[test]
    fn spans_are_short() {
        for (ms, expect) in [(0, "0 s"), (1, "1 s"), (59_000, "59 s"), (60_000, "1 min"), (3_600_000, "1 h 0 min")] {
            assert_eq!(span(ms), expect);
        }
    }
}
