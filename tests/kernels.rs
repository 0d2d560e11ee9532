//! What does the I/O: the ring where the system allows it, epoll where it does not, and always what was asked for. That
//! both do the same is shown by all the other tests, which run on either (`RINGFERRY_TEST_KERNEL`).

use crate::support::{
    Origin, Proxy, SystemCall, TempDir, TlsClient, VERSIONS, default_site, run_to_end, tls_site, under_seccomp,
    wait_until,
};
use nix::libc::{ENOSYS, EPERM};
use nix::sys::signal::Signal;
use seccompiler::SeccompAction;

/// What the start says: the warning about the kernel, if there is one, and the line that it is ready.
fn told(proxy: &Proxy) -> (Option<String>, String) {
    let ready = proxy.log_line(|line| line.starts_with("ready"));
    let mut warnings = proxy.log().all().into_iter().filter(|line| line.contains("runs on"));
    let warning = warnings.next();
    assert_eq!(warnings.next(), None, "said twice");
    (warning, ready)
}

/// Whether any of its threads has a ring.
fn has_ring(proxy: &Proxy) -> bool {
    let pid = proxy.status()["pid"].as_u64().unwrap();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .any(|target| target.to_string_lossy().contains("[io_uring]"))
}

/// That it serves, with and without TLS, short and long answers, on both of its cores; takes a new configuration; and
/// ends.
#[track_caller]
fn check_serves(mut proxy: Proxy, dir: &TempDir) {
    let origin = Origin::named("first");
    proxy.reload(&tls_site("a.test", &origin, dir)).unwrap();
    for version in VERSIONS {
        let client = TlsClient::of(version);
        wait_until("the new site is there", || client.get(proxy.tls(), "a.test", "/").text() == "first");
    }
    let large = "x".repeat(4 << 20);
    let body = large.clone();
    let long = Origin::answering(move |_| crate::support::ok(&body));
    proxy.reload(&format!("{}\n{}", tls_site("a.test", &origin, dir), default_site(&long))).unwrap();
    wait_until("the reload is through", || proxy.get("b.test", "/").status() == 200);
    for _ in 0..4 {
        assert!(proxy.get("b.test", "/").text() == large);
    }
    assert_eq!(TlsClient::new().get(proxy.tls(), "a.test", "/").text(), "first");
    proxy.signal(Signal::SIGTERM);
    assert_eq!(proxy.wait_exit().0, Some(0));
}

#[test]
fn where_io_uring_is_refused_it_serves_by_epoll_and_says_in_one_line_what_to_change() {
    let cases = [
        // As docker does; and its older profiles know no younger call either.
        (EPERM, &[SystemCall::IoUringSetup, SystemCall::EpollPwait2][..], "seccomp profile (docker: --security-opt"),
        (ENOSYS, &[SystemCall::IoUringSetup], "Linux 6.1 or later is needed"),
    ];
    for (errno, calls, advice) in cases {
        let dir = TempDir::new();
        let before = Origin::named("before");
        let config = tls_site("a.test", &before, &dir);
        let args = ["--cores", "2", "--kernel", "auto"];
        let proxy = under_seccomp(SeccompAction::Errno(errno as u32), calls, || Proxy::start_with(&config, &args));
        let (warning, ready) = told(&proxy);
        let warning = warning.expect("it says so");
        assert!(warning.starts_with("warning: this runs on epoll: ") && warning.contains(advice), "{warning}");
        assert!(warning.ends_with("write kernel = \"epoll\""), "{warning}");
        assert!(ready.ends_with("cores, epoll") || ready.ends_with("core, epoll"), "{ready}");
        let status = proxy.status();
        assert_eq!(status["kernel"]["name"], "epoll");
        assert!(warning.contains(status["kernel"]["refused"].as_str().unwrap()), "{status:#}");
        let shown = String::from_utf8(proxy.verb(&["status"]).stdout).unwrap();
        assert!(shown.contains(", on epoll, ") && shown.contains(advice), "{shown}");
        check_serves(proxy, &dir);
    }
}

#[test]
fn who_asks_for_epoll_gets_no_ring_at_all_and_no_warning() {
    let origin = Origin::named("x");
    for (key, args) in [("", &["--cores", "1", "--kernel", "epoll"][..]), ("kernel = \"epoll\"\n", &["--cores", "1"])] {
        let dir = TempDir::new();
        let config = format!("{key}{}", tls_site("a.test", &origin, &dir));
        // It would be killed for trying.
        let calls = [SystemCall::IoUringSetup];
        let proxy = under_seccomp(SeccompAction::KillProcess, &calls, || Proxy::start_with(&config, args));
        let (warning, ready) = told(&proxy);
        assert_eq!((warning, ready.ends_with(", epoll")), (None, true), "{ready}");
        assert_eq!(proxy.status()["kernel"]["refused"], serde_json::Value::Null);
        assert!(!has_ring(&proxy));
        check_serves(proxy, &dir);
    }
}

#[test]
fn who_asks_for_a_ring_gets_one_or_is_told_why_not() {
    let origin = Origin::named("x");
    // The command line wins over the file.
    let config = format!("kernel = \"epoll\"\n{}", default_site(&origin));
    let proxy = Proxy::start_with(&config, &["--cores", "1", "--kernel", "uring"]);
    let (warning, ready) = told(&proxy);
    assert_eq!((warning, ready.ends_with(", io_uring")), (None, true), "{ready}");
    assert!(has_ring(&proxy));
    assert_eq!(proxy.get("a.test", "/").text(), "x");

    let args = ["run", "-c", "ringferry.toml", "--admin", "admin.sock", "--kernel", "uring"];
    let refused = SeccompAction::Errno(EPERM as u32);
    let config = format!("[listen]\nhttp = \"127.0.0.1:0\"\n{}", default_site(&origin));
    let output = under_seccomp(refused, &[SystemCall::IoUringSetup], || run_to_end(&config, &args));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("io_uring is refused to this process") && said.contains("kernel = \"auto\""), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
