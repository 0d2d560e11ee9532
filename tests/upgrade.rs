//! Another process takes over from a running one, and nobody notices. And a process is given its sockets by whoever has
//! started it.

use crate::support::{
    Gate, Origin, Proxy, TempDir, TlsClient, WAIT, Wire, default_site, run_to_end, tls_site, wait_until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A process that no test has started; it ends with the value.
struct Successor(Pid);

impl Successor {
    /// The one that answers at the admin socket of `proxy`.
    fn of(proxy: &Proxy) -> Successor {
        let pid = proxy.status()["pid"].as_i64().unwrap();
        assert_ne!(pid, proxy.pid());
        Successor(Pid::from_raw(pid as i32))
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

#[track_caller]
fn upgrade(proxy: &Proxy) -> Successor {
    let told = proxy.verb(&["upgrade"]);
    assert!(told.status.success(), "{told:?}");
    Successor::of(proxy)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn no_request_fails_while_one_process_follows_another() {
    let origin = Origin::named("x");
    let mut proxy = Proxy::start_with(&default_site(&origin), &["--cores", "2"]);
    let (done, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut successors = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut kept = proxy.connect();
                while !done.load(Ordering::Relaxed) {
                    let answer = kept.get("a", "/");
                    assert_eq!(answer.text(), "x");
                    served.fetch_add(1, Ordering::Relaxed);
                    // Whoever ends a connection says so with the answer before.
                    if answer.field("connection") == Some("close") {
                        kept = proxy.connect();
                    }
                }
            });
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(proxy.get("a", "/").text(), "x");
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..3 {
            successors.push(upgrade(&proxy));
            let count = served.load(Ordering::Relaxed);
            wait_until("requests go on", || served.load(Ordering::Relaxed) > count + 20);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(proxy.wait_end(), Some(0));
}

#[test]
fn what_has_begun_is_finished_by_the_process_where_it_began() {
    let gate = Arc::new(Gate::default());
    let origin = Origin::gated(&gate);
    let proxy = Proxy::to(&origin);
    let mut busy = proxy.connect();
    busy.send("GET /old HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(1);
    let _successor = upgrade(&proxy);
    let mut fresh = proxy.connect();
    fresh.send("GET /new HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(2);
    gate.open();
    let old = busy.response();
    assert_eq!((old.status(), old.field("connection")), (200, Some("close")));
    busy.expect_end();
    let new = fresh.response();
    assert_eq!((new.status(), new.field("connection")), (200, None));
    // Of the successor's start the log of its predecessor tells.
    assert_eq!(proxy.log().all().iter().filter(|line| line.starts_with("ready")).count(), 2);
    proxy.log_line(|line| line.contains("takes over"));
}

#[test]
fn streams_and_tls_go_on_at_their_addresses() {
    let (origin, dir) = (Origin::named("secret"), TempDir::new());
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stream = format!("[[stream]]\nlisten = \"udp/127.0.0.1:0\"\nupstream = \"{}\"\n", server.local_addr().unwrap());
    let proxy = Proxy::start_with(&(tls_site("a.test", &origin, &dir) + &stream), &["--cores", "2"]);
    let (https, udp) = (proxy.tls(), proxy.listener_of("udp", 0));
    let _successor = upgrade(&proxy);
    let listeners = proxy.status()["listeners"].to_string();
    assert!(listeners.contains(&https.to_string()) && listeners.contains(&udp.to_string()), "{listeners}");
    for _ in 0..4 {
        assert_eq!(TlsClient::new().connect(https, "a.test").get("a.test", "/").text(), "secret");
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(udp).unwrap();
        client.set_read_timeout(Some(WAIT)).unwrap();
        let mut datagram = [0; 16];
        client.send(b"there?").unwrap();
        let (len, from) = server.recv_from(&mut datagram).unwrap();
        server.send_to(&datagram[..len], from).unwrap();
        assert_eq!(client.recv(&mut datagram).unwrap(), len);
    }
}

#[test]
fn where_the_new_process_cannot_serve_nothing_changes() {
    let origin = Origin::named("still");
    let proxy = Proxy::to(&origin);
    let mut kept = proxy.connect();
    assert_eq!(kept.get("a", "/").text(), "still");
    proxy.write_config("[[site]]\nhost = \"a.test\"\nupstrem = 3000\n");
    let told = proxy.verb(&["upgrade"]);
    assert_eq!(told.status.code(), Some(1));
    let told = stderr(&told);
    assert!(told.contains("ringferry.toml:3:1") && told.contains("nothing has changed"), "{told}");
    assert_eq!(kept.get("a", "/").text(), "still");
    assert_eq!(proxy.status()["pid"], proxy.pid());
    // One that fails later, since a new address is another's.
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("[listen]\nhttp = [\"127.0.0.1:0\", \"{}\"]\n", held.local_addr().unwrap());
    proxy.write_config(&(listen + &default_site(&origin)));
    let told = proxy.verb(&["upgrade"]);
    assert!(!told.status.success() && stderr(&told).contains("cannot listen on"), "{told:?}");
    assert_eq!(proxy.status()["pid"], proxy.pid());
    assert_eq!(proxy.get("a", "/").text(), "still");
    let nobody = run_to_end("", &["upgrade", "--admin", "nobody.sock"]);
    assert_eq!(nobody.status.code(), Some(4), "{nobody:?}");
}

/// As a package does it that has put another file in the place of the program.
#[test]
fn a_reload_by_another_program_is_an_upgrade_to_it() {
    let (origin, dir) = (Origin::named("x"), TempDir::new());
    let proxy = Proxy::to(&origin);
    let told = proxy.verb(&["reload", "--or-upgrade"]);
    assert_eq!(String::from_utf8_lossy(&told.stdout).trim_end(), "reloaded, snapshot 2", "{told:?}");
    let other = dir.path().join("ringferry");
    std::fs::copy(env!("CARGO_BIN_EXE_ringferry"), &other).unwrap();
    let told = proxy.verb_of(&other, &["reload", "--or-upgrade"]);
    assert!(told.status.success(), "{told:?}");
    let successor = Successor::of(&proxy);
    assert_eq!(std::fs::read_link(format!("/proc/{}/exe", successor.0)).unwrap(), other);
    assert_eq!(proxy.get("a", "/").text(), "x");
}

#[test]
fn a_supervisor_hears_who_follows_and_then_from_that_alone() {
    let (origin, dir) = (Origin::named("x"), TempDir::new());
    let path = dir.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).unwrap();
    supervisor.set_read_timeout(Some(WAIT)).unwrap();
    let hears = || {
        let mut message = [0; 4096];
        let len = supervisor.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..len]).trim_end().replace('\n', " ")
    };
    let run = ["run", "-c", "ringferry.toml", "--admin", "admin.sock", "--cores", "1"];
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap())];
    let mut proxy = Proxy::of_verb_in(&default_site(&origin), &run, &environment);
    assert!(hears().starts_with("READY=1"));
    let successor = upgrade(&proxy);
    assert_eq!(hears(), format!("MAINPID={}", successor.0));
    assert_eq!(hears(), "READY=1 STATUS=serving ringferry.toml, snapshot 1");
    assert_eq!(proxy.wait_end(), Some(0));
    kill(successor.0, Signal::SIGTERM).unwrap();
    assert_eq!(hears(), "STOPPING=1 STATUS=draining");
}

/// systemd listens, and starts us with what it listens on: one socket for all cores.
#[test]
fn sockets_of_whoever_starts_it_are_used() {
    let origin = Origin::named("here");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // A connection that came before there was anybody to serve it.
    let mut early = Wire::connect(address);
    let mut command = Command::new("sh");
    let start = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\"";
    command.args(["-c", start, env!("CARGO_BIN_EXE_ringferry")]);
    command.args(["run", "-c", "ringferry.toml", "--admin", "admin.sock", "--cores", "2"]);
    let config = format!("[listen]\nhttp = \"{address}\"\n{}", default_site(&origin));
    let proxy = Proxy::given(&config, command, Stdio::from(OwnedFd::from(listener)));
    assert_eq!(early.get("a", "/").text(), "here");
    let mut clients: Vec<_> = (0..8).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("a", "/").text(), "here");
    }
    // And they are handed on.
    let _successor = upgrade(&proxy);
    assert_eq!(proxy.get("a", "/").text(), "here");
}

#[test]
fn with_all_privileges_given_up_it_follows_all_the_same() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (origin, dir) = (Origin::named("secret"), TempDir::new());
    let config = "[privileges]\nuser = \"nobody\"\n".to_owned() + &tls_site("a.test", &origin, &dir);
    let proxy = Proxy::start(&config);
    let before = proxy.status()["privileges"].clone();
    let _successor = upgrade(&proxy);
    assert_eq!(proxy.status()["privileges"], before);
    assert_eq!(TlsClient::new().connect(proxy.tls(), "a.test").get("a.test", "/").text(), "secret");
    let again = proxy.verb(&["reload"]);
    assert!(again.status.success(), "{again:?}");
}
