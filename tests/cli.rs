//! The command line: verbs, what they print, and exit codes that scripts may rely on.

use crate::support::{
    Origin, Proxy, SystemCall, TempDir, WAIT, Wire, default_site, run_to_end, run_to_end_in, site, under_seccomp,
};
use nix::libc::{ENOSYS, EPERM};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use seccompiler::SeccompAction;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::sync::Arc;

const GOOD: &str = "[listen]\nhttp = \"127.0.0.1:0\"\n[[site]]\nhost = \"a.test\"\nupstream = 3000\n";

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn check(config: &str, args: &[&str], code: i32) -> Output {
    let output = run_to_end(config, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{}{}", stdout(&output), stderr(&output));
    output
}

#[test]
fn exit_codes_are_told_apart() {
    check(GOOD, &["check", "-c", "ringferry.toml"], 0);
    check("nonsense", &["check", "-c", "ringferry.toml"], 1);
    check("nonsense", &["run", "-c", "ringferry.toml", "--admin", "a.sock"], 1);
    check("", &["check", "-c", "missing.toml"], 1);
    check("", &["run", "--no-such-flag"], 2);
    check("", &["frobnicate"], 2);
    check("", &["status", "--admin", "nobody.sock"], 4);
    check("", &["reload", "--admin", "nobody.sock"], 4);
    check("", &["--help"], 0);
    check("", &["version"], 0);
}

#[test]
fn check_reports_every_problem_with_its_place_and_a_hint() {
    let config = "[[site]]\nhost = \"a.test\"\nupstrem = 3000\n\n[timeouts]\nhead = \"soon\"\n\n[[sit]]\n";
    let output = check(config, &["check", "-c", "ringferry.toml"], 1);
    assert_eq!(
        stderr(&output),
        r#"ringferry.toml:3:1: error: unknown key "upstrem" in [[site]]
    upstrem = 3000
    ^^^^^^^
    did you mean "upstream"?
ringferry.toml:6:8: error: "soon" is not a time: a whole number and ms, s, m, h or d
    head = "soon"
           ^^^^^^
    write: head = "30s"
ringferry.toml:8:3: error: unknown key "sit" in the top table
    [[sit]]
      ^^^
    did you mean "site"?"#
    );
    assert_eq!(stdout(&output), "ringferry.toml: 3 errors, 0 warnings");
}

#[test]
fn check_says_the_same_as_json() {
    let config = "via = 1\n[[site]]\nhost = \"a.test\"\nupstream = { servers = 3000, hold = \"0s\" }\n";
    let output = check(config, &["check", "-c", "ringferry.toml", "--json"], 1);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        report,
        serde_json::json!({ "file": "ringferry.toml", "problems": [
            {
                "severity": "error", "line": 1, "column": 7,
                "what": "via is a number, not true or false", "hint": "write: via = true",
            },
            {
                "severity": "warning", "line": 4, "column": 37,
                "what": "hold = \"0s\" holds nothing, as without it", "hint": "remove it",
            },
        ]})
    );
    assert_eq!(stderr(&output), "");
}

#[test]
fn warnings_count_when_check_is_strict() {
    let doubtful = "[[site]]\nhost = \"a.test\"\nupstream = { servers = 3000, hold = \"0s\" }\n";
    let output = check(doubtful, &["check", "-c", "ringferry.toml"], 0);
    assert!(stderr(&output).starts_with("ringferry.toml:3:37: warning: hold"), "{}", stderr(&output));
    let lines = stdout(&output);
    assert_eq!(lines.lines().last(), Some("ringferry.toml: ok, 1 warning (1 listener, 1 site, 1 route)"));
    check(doubtful, &["check", "-c", "ringferry.toml", "--strict"], 2);
    check(doubtful, &["check", "-c", "ringferry.toml", "--strict", "--json"], 2);
    check(GOOD, &["check", "-c", "ringferry.toml", "--strict"], 0);
    check("nonsense", &["check", "-c", "ringferry.toml", "--strict"], 1);
}

#[test]
fn explain_names_the_winner_and_why_the_others_lost() {
    let config = r#"
        [listen]
        http = "127.0.0.1:8080"
        [[site]]
        host = "a.test"
        route = [
            { path = "/", upstream = 3001 },
            { path = "/blog/", strip_prefix = true, upstream = 3002 },
        ]
        [[site]]
        host = "*.test"
        upstream = 3003
    "#;
    let explain = |url: &str, code: i32| stdout(&check(config, &["explain", url, "-c", "ringferry.toml"], code));
    let text = explain("http://a.test:8080/blog/post", 0);
    for expect in ["a.test", "/blog", "127.0.0.1:3002", "*.test"] {
        assert!(text.contains(expect), "{expect:?} is not in\n{text}");
    }
    assert!(explain("http://b.test:8080/", 0).contains("127.0.0.1:3003"));
    assert!(explain("http://unknown.example:8080/", 0).contains("421"));
    let output = check(config, &["explain", "https://a.test:8080/", "-c", "ringferry.toml"], 2);
    assert!(stderr(&output).contains("write http://a.test:8080/"), "{}", stderr(&output));
}

#[test]
fn version_and_help_are_for_people() {
    let version = stdout(&check("", &["version"], 0));
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let help = stdout(&check("", &["--help"], 0));
    for verb in ["run", "check", "explain", "cert", "status", "reload", "doctor", "proxy", "demo", "version"] {
        assert!(help.contains(verb), "{verb}");
        let text = stdout(&check("", &[verb, "--help"], 0));
        assert!(text.contains("Usage") && text.lines().count() > 5, "{verb}: {text}");
    }
}

#[test]
fn the_authority_is_made_when_it_is_asked_for_and_stays() {
    let state = TempDir::new();
    let state = state.path().join("state");
    let environment = [("STATE_DIRECTORY", state.to_str().unwrap())];
    let cert = |args: &[&str], code: i32| {
        let output = run_to_end_in(GOOD, &[&["cert"], args, &["-c", "ringferry.toml"]].concat(), &environment);
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{}{}", stdout(&output), stderr(&output));
        output
    };
    assert_eq!(stdout(&cert(&[], 0)), "no site ends TLS here");
    assert!(!state.exists(), "to look makes nothing");

    let first = cert(&["ca"], 0);
    assert!(stdout(&first).starts_with("-----BEGIN CERTIFICATE-----"), "{}", stdout(&first));
    assert!(stdout(&first).ends_with("-----END CERTIFICATE-----"), "{}", stdout(&first));
    assert_eq!(stderr(&first), "", "hints are for terminals");
    assert_eq!(stdout(&cert(&["ca"], 0)), stdout(&first));
    let told: serde_json::Value = serde_json::from_slice(&cert(&["ca", "--json"], 0).stdout).expect("JSON");
    assert_eq!(told["pem"].as_str().map(str::trim_end), Some(stdout(&first).as_str()));
    assert!(told["name"].as_str().unwrap().starts_with("Ringferry local authority"), "{told:#}");
    let copy = told["file"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(copy).unwrap().trim_end(), stdout(&first));

    let key = state.join("authority.key");
    std::fs::write(&key, "").unwrap();
    let broken = cert(&["ca"], 1);
    assert_eq!(stdout(&broken), "");
    let text = stderr(&broken);
    assert!(text.contains(key.to_str().unwrap()) && text.contains("put both authority files back"), "{text}");
    assert_eq!(std::fs::read(&key).unwrap(), b"");
}

#[test]
fn a_state_folder_that_cannot_be_made_is_a_missing_permission() {
    let output =
        run_to_end_in(GOOD, &["cert", "ca", "-c", "ringferry.toml"], &[("STATE_DIRECTORY", "/proc/ringferry")]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("/proc/ringferry: cannot be written"), "{}", stderr(&output));
}

#[test]
fn a_port_that_is_taken_names_its_holder() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let config = format!("[listen]\nhttp = \"{address}\"\n[[site]]\nhost = \"*\"\nupstream = 3000\n");
    let output = check(&config, &["run", "-c", "ringferry.toml", "--admin", "a.sock"], 3);
    let text = stderr(&output);
    assert!(text.contains(&address.to_string()), "{text}");
    // It is this very process.
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    // A second proxy on the same port is refused as well, although both would share it if they were asked to.
    let origin = Origin::named("x");
    let first = Proxy::to(&origin);
    let config = format!("[listen]\nhttp = \"{}\"\n{}", first.address(), default_site(&origin));
    let output = check(&config, &["run", "-c", "ringferry.toml", "--admin", "a.sock"], 3);
    assert!(stderr(&output).contains("ringferry"), "{}", stderr(&output));
}

#[test]
fn an_admin_socket_in_use_is_not_taken_away() {
    let origin = Origin::named("x");
    let first = Proxy::to(&origin);
    let admin = first.admin();
    let config = format!("[listen]\nhttp = \"127.0.0.1:0\"\n{}", default_site(&origin));
    let output = run_to_end(&config, &["run", "-c", "ringferry.toml", "--admin", admin.to_str().unwrap()]);
    assert!(matches!(output.status.code(), Some(1..=3)), "{output:?}");
    assert!(stderr(&output).contains("admin.sock"), "{output:?}");
    assert!(first.status()["listeners"].is_array(), "the first one still answers there");
}

#[test]
fn status_tells_what_is_going_on() {
    let origin = Origin::named("x");
    let proxy = Proxy::start_with(&site("a.test", &origin), &["--cores", "2"]);
    for _ in 0..5 {
        proxy.get("a.test", "/");
    }
    let status = proxy.status();
    assert_eq!(status["cores"].as_array().map(Vec::len), Some(2), "{status:#}");
    let listener = status["listeners"][0]["address"].as_str().unwrap_or_default().to_owned();
    assert!(listener.ends_with(&proxy.address().to_string()), "{status:#}");
    crate::support::wait_until("the requests are counted", || proxy.status()["totals"]["requests"] == 5);
    let status = proxy.status();
    let server = proxy.server(&origin.address().to_string());
    assert!(server.is_object());
    // Each core that served one keeps its connection.
    assert!((1..=2).contains(&status["totals"]["upstream_idle"].as_u64().unwrap()), "{status:#}");
    let text = stdout(&proxy.verb(&["status"]));
    assert!(text.contains(&origin.address().to_string()), "{text}");
}

#[test]
fn the_doctor_looks_at_everything_and_says_it_to_people_and_programs() {
    const SUBJECTS: [&str; 20] = [
        "kernel",
        "io_uring",
        "page_size",
        "ciphers",
        "memlock",
        "descriptors",
        "pipes",
        "socket_buffers",
        "backlog",
        "memory",
        "disk",
        "clock",
        "throttling",
        "container",
        "dns",
        "ipv6",
        "configuration",
        "certificates",
        "upstreams",
        "ports",
    ];
    let output = run_to_end(GOOD, &["doctor", "-c", "ringferry.toml", "--admin", "nobody.sock", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = report["findings"].as_array().unwrap();
    let of = |subject: &str| findings.iter().filter(move |finding| finding["subject"] == subject).collect::<Vec<_>>();
    for subject in SUBJECTS {
        assert!(!of(subject).is_empty(), "{subject}: {report:#}");
    }
    for finding in findings {
        assert_eq!(finding["todo"].is_string(), finding["level"] != "ok", "{finding:#}");
        assert!(finding["seen"].as_str().is_some_and(|seen| !seen.is_empty()), "{finding:#}");
    }
    // The exit code is what the findings are.
    let bad = findings.iter().filter(|finding| finding["level"] == "bad").count();
    assert_eq!(report["counts"]["bad"], bad, "{report:#}");
    assert_eq!(output.status.code(), Some(i32::from(bad > 0)), "{report:#}");
    assert!(report["machine"]["page_bytes"].as_u64().is_some_and(|bytes| bytes >= 4096), "{report:#}");
    assert_eq!(of("configuration")[0]["seen"], "ringferry.toml is good; no Ringferry runs");
    assert_eq!(of("ports")[0]["seen"], "http://127.0.0.1:0 is free");

    let output = run_to_end(GOOD, &["doctor", "-c", "ringferry.toml", "--admin", "nobody.sock"]);
    let text = stdout(&output);
    assert!(text.contains("ringferry.toml is good") && text.contains(" ok"), "{text}");
    assert!(!text.contains('\u{1b}'), "colours are for terminals: {text:?}");
}

#[test]
fn the_doctor_tells_who_holds_a_port_and_fails_for_it() {
    let doctor = |config: &str, admin: &str| {
        let args = ["doctor", "-c", "ringferry.toml", "--admin", admin, "--json"];
        let output = run_to_end(config, &args);
        (output.status.code(), serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON"))
    };
    let ports = |report: &serde_json::Value| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["subject"] == "ports").unwrap().clone()
    };
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = |address| format!("[listen]\nhttp = \"{address}\"\n[[site]]\nhost = \"*\"\nupstream = 3000\n");
    let (code, report) = doctor(&config(held.local_addr().unwrap()), "nobody.sock");
    let found = ports(&report);
    assert_eq!((code, &found["level"]), (Some(1), &serde_json::json!("bad")), "{report:#}");
    assert!(found["seen"].as_str().unwrap().contains(&std::process::id().to_string()), "{found:#}");

    // Of the one that runs it says so.
    let origin = Origin::named("x");
    let proxy = Proxy::to(&origin);
    let (_, report) = doctor(&config(proxy.address()), proxy.admin().to_str().unwrap());
    assert_eq!(ports(&report)["level"], "ok", "{report:#}");
    let configuration = report["findings"].as_array().unwrap().iter().find(|found| found["subject"] == "configuration");
    assert!(configuration.unwrap()["seen"].as_str().unwrap().contains("runs (pid "), "{report:#}");
}

#[test]
fn the_doctor_tells_a_seccomp_profile_from_an_old_kernel() {
    let calls = [SystemCall::IoUringSetup];
    for errno in [EPERM, ENOSYS] {
        let args = ["doctor", "-c", "ringferry.toml", "--admin", "nobody.sock", "--json"];
        let refused = SeccompAction::Errno(errno as u32);
        let output = under_seccomp(refused, &calls, || run_to_end(GOOD, &args));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let found = report["findings"].as_array().unwrap().iter().find(|found| found["subject"] == "io_uring").unwrap();
        assert_eq!(report["machine"]["io_uring"], serde_json::Value::Null);
        assert_eq!(found["level"], "hint", "{found:#}");
        // The sysctl comes first where a machine has it set.
        let seen = found["seen"].as_str().unwrap();
        assert!(seen.contains("by a seccomp profile") || seen.contains("switched off"), "{seen}");
    }
}

#[test]
fn one_line_makes_a_proxy() {
    let origin = Origin::named("one line");
    let to = origin.address().port().to_string();
    let proxy = Proxy::of_verb("", &["proxy", "--from", "127.0.0.1:0", "--to", &to]);
    assert_eq!(proxy.get("any.test", "/").text(), "one line");
    let proxy = Proxy::of_verb("", &["proxy", "--from", "127.0.0.1:0", "--to", &to, "--host", "a.test"]);
    assert_eq!(proxy.get("a.test", "/").text(), "one line");
    assert_eq!(proxy.get("b.test", "/").status(), 421);
    let output = check("", &["proxy", "--from", "nonsense:port", "--to", "3000"], 2);
    assert!(stderr(&output).contains("nonsense"), "{}", stderr(&output));
}

#[test]
fn the_demo_serves_three_sites_through_one_port() {
    let demo = Proxy::of_verb("", &["demo", "--port", "0", "--https-port", "0"]);
    for host in ["blog.localhost", "files.localhost", "chat.localhost"] {
        let page = demo.get(host, "/");
        assert_eq!(page.status(), 200, "{host}");
        assert!(page.text().to_ascii_lowercase().contains("<!doctype html>"), "{host}");
    }
    let blog = demo.get("localhost", "/blog/crossing");
    for expect in ["<base href=\"/blog/\">", "<dt>X-Forwarded-Prefix</dt><dd>/blog</dd>"] {
        assert!(blog.text().contains(expect), "{}", blog.text());
    }
    let missing = demo.get("localhost", "/blog/none");
    assert!(missing.status() == 404 && missing.text().contains("No such page"), "{}", missing.text());
    assert_eq!(demo.get("localhost", "/").status(), 302);
    assert_eq!(demo.get("nowhere.localhost", "/").status(), 421);
    let upload = "PUT /upload HTTP/1.1\r\nHost: files.localhost\r\nContent-Length: 5\r\n\r\n12345";
    assert!(demo.exchange(upload).text().contains("5 bytes"));
    let download = demo.get("files.localhost", "/file?size=1MiB");
    assert_eq!(download.body.len(), 1 << 20);
    let mut chat = ["one", "two"].map(|_| {
        let stream = TcpStream::connect(demo.address()).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        tungstenite::client("ws://chat.localhost/ws", stream).unwrap().0
    });
    chat[0].send("hello".into()).unwrap();
    while !chat[1].read().unwrap().into_text().unwrap().contains("hello") {}
}

#[test]
fn the_demo_serves_them_by_tls_as_well() {
    let demo = Proxy::of_verb("", &["demo", "--port", "0", "--https-port", "0", "--admin", "admin.sock"]);
    let line = demo.log_line(|line| line.starts_with("listening on https://127.0.0.1:"));
    let address = line.trim_start_matches("listening on https://").to_owned();
    let state = demo.admin().parent().unwrap().to_owned();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(state.join("authority.pem")).unwrap()).unwrap();
    let trusting = Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
    let connect = |host: &'static str| {
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        let tls = ClientConnection::new(trusting.clone(), host.try_into().unwrap()).unwrap();
        StreamOwned::new(tls, stream)
    };
    for host in ["blog.localhost", "files.localhost"] {
        let mut stream = connect(host);
        write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("<!doctype html>"), "{answer}");
    }
    let mut chat = tungstenite::client("wss://chat.localhost/ws", connect("chat.localhost")).unwrap().0;
    chat.send("hello".into()).unwrap();
    while !chat.read().unwrap().into_text().unwrap().contains("hello") {}
    let status = demo.status();
    assert_eq!(status["tls"][0]["site"], "blog.localhost", "{status:#}");
    assert_eq!(status["tls"][0]["certificates"][0]["origin"], "internal", "{status:#}");
    let plain = Wire::connect(address.parse().unwrap()).get("blog.localhost", "/");
    assert!(plain.status() == 400 && plain.text().contains("write https://"), "{}", plain.text());
}

#[test]
fn the_demo_goes_without_https_where_the_authority_cannot_be_kept() {
    let demo = Proxy::of_verb_in("", &["demo", "--port", "0"], &[("STATE_DIRECTORY", "/proc/ringferry")]);
    let why = demo.log_line(|line| line.contains("without https"));
    assert!(why.contains("/proc/ringferry: cannot be written"), "{why}");
    assert_eq!(demo.get("blog.localhost", "/").status(), 200);
    assert!(!demo.log().all().iter().any(|line| line.contains("https://")), "{:?}", demo.log().all());
}
