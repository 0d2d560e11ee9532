//! The program under test: started with a configuration in a directory of its own, seen through its sockets, its log
//! lines, its exit status and `status --json`.

use super::lines::Lines;
use super::wire::{Message, Wire};
use super::{Origin, TempDir, WAIT};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringferry");

/// Every proxy of the tests that is told none runs on the kernel that this variable names, if it is set:
/// `RINGFERRY_TEST_KERNEL=epoll`.
const KERNEL: &str = "RINGFERRY_TEST_KERNEL";

/// A running proxy; it is killed when the value is dropped. Its log is printed if the test fails.
pub(crate) struct Proxy {
    child: Child,
    dir: TempDir,
    lines: Lines,
    /// By the protocol that is spoken there.
    addresses: Vec<(String, SocketAddr)>,
}

/// A site of one host with one upstream.
pub(crate) fn site(host: &str, origin: &Origin) -> String {
    format!("[[site]]\nhost = {host:?}\nupstream = {:?}\n", origin.url())
}

/// The site of all hosts with one upstream.
pub(crate) fn default_site(origin: &Origin) -> String {
    site("*", origin)
}

/// A site of one host with several routes: path, further keys, upstream.
pub(crate) fn site_of_routes(host: &str, routes: &[(&str, &str, &Origin)]) -> String {
    let route = |(path, keys, origin): &(&str, &str, &Origin)| {
        format!("[[site.route]]\npath = {path:?}\nupstream = {:?}\n{keys}\n", origin.url())
    };
    format!("[[site]]\nhost = {host:?}\n{}", routes.iter().map(route).collect::<String>())
}

/// Runs a verb of the program that ends by itself, in a directory where `ringferry.toml` holds `config`.
pub(crate) fn run_to_end(config: &str, args: &[&str]) -> Output {
    run_to_end_in(config, args, &[])
}

/// The same with these variables in its environment.
pub(crate) fn run_to_end_in(config: &str, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let dir = TempDir::new();
    std::fs::write(dir.path().join("ringferry.toml"), config).unwrap();
    output(Command::new(PROGRAM).args(args).current_dir(dir.path()).envs(environment.iter().copied()))
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 unless `config` has a `[listen]` of its own; with sites that have TLS also on one
    /// for TLS.
    #[track_caller]
    pub(crate) fn start(config: &str) -> Proxy {
        Proxy::start_with(config, &["--cores", "1"])
    }

    /// A proxy of one default site.
    #[track_caller]
    pub(crate) fn to(origin: &Origin) -> Proxy {
        Proxy::start(&default_site(origin))
    }

    #[track_caller]
    pub(crate) fn start_with(config: &str, args: &[&str]) -> Proxy {
        let run = ["run", "-c", "ringferry.toml", "--admin", "admin.sock"];
        Proxy::of_verb(config, &[&run, args].concat())
    }

    /// Any verb that serves, in a directory where `ringferry.toml` holds `config`.
    #[track_caller]
    pub(crate) fn of_verb(config: &str, args: &[&str]) -> Proxy {
        Proxy::of_verb_in(config, args, &[])
    }

    /// The same with these variables in its environment.
    #[track_caller]
    pub(crate) fn of_verb_in(config: &str, args: &[&str], environment: &[(&str, &str)]) -> Proxy {
        let mut command = Command::new(PROGRAM);
        command.args(args).stdin(Stdio::null());
        Proxy::of_command(config, command, environment, args.contains(&"--kernel"))
    }

    /// What the command starts, which gets this as its standard input.
    #[track_caller]
    pub(crate) fn given(config: &str, mut command: Command, stdin: Stdio) -> Proxy {
        command.stdin(stdin);
        Proxy::of_command(config, command, &[], false)
    }

    /// On one core, in a process that may have so many descriptors.
    #[track_caller]
    pub(crate) fn start_with_descriptors(config: &str, descriptors: usize) -> Proxy {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\""), PROGRAM]);
        command.args(["run", "-c", "ringferry.toml", "--admin", "admin.sock", "--cores", "1"]);
        Proxy::of_command(config, command, &[], false)
    }

    #[track_caller]
    fn of_command(config: &str, mut command: Command, environment: &[(&str, &str)], is_told: bool) -> Proxy {
        let dir = TempDir::new();
        std::fs::write(dir.path().join("ringferry.toml"), complete(config)).unwrap();
        let kernel = std::env::var(KERNEL).ok().filter(|_| !is_told && !config.contains("kernel = \""));
        let mut child = command
            .args(kernel.iter().flat_map(|kernel| ["--kernel", kernel]))
            .current_dir(dir.path())
            .env("NO_COLOR", "1")
            // What it leaves behind when it is killed goes with the directory, and so does what is kept on purpose.
            .env("TMPDIR", dir.path())
            .env("STATE_DIRECTORY", dir.path())
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Lines::of(child.stderr.take().unwrap());
        let mut proxy = Proxy { child, dir, lines, addresses: Vec::new() };
        let ready = proxy.lines.find(0, |line| line.starts_with("ready"));
        assert!(ready.is_some(), "the proxy does not get ready");
        proxy.addresses = proxy.lines.all().iter().filter_map(|line| listening_on(line)).collect();
        proxy
    }

    /// Where the HTTP listener of this number, in the order of the configuration, can be reached.
    #[track_caller]
    pub(crate) fn listener(&self, number: usize) -> SocketAddr {
        self.listener_of("http", number)
    }

    /// The same among those of any protocol, as its URL names it.
    #[track_caller]
    pub(crate) fn listener_of(&self, protocol: &str, number: usize) -> SocketAddr {
        let mut of = self.addresses.iter().filter(|(spoken, _)| spoken == protocol);
        of.nth(number).unwrap_or_else(|| panic!("no {protocol} listener {number}")).1
    }

    /// Where the first listener for TLS can be reached.
    #[track_caller]
    pub(crate) fn tls(&self) -> SocketAddr {
        self.listener_of("https", 0)
    }

    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener(0)
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.address())
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn get(&self, host: &str, target: &str) -> Message {
        self.connect().get(host, target)
    }

    /// Sends bytes on a connection of their own and reads one response.
    #[track_caller]
    pub(crate) fn exchange(&self, bytes: impl AsRef<[u8]>) -> Message {
        self.connect().send(bytes).response()
    }

    /// A line that has come or will come.
    #[track_caller]
    pub(crate) fn log_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.lines.find(0, wanted).expect("the line that is waited for is in the log")
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    pub(crate) fn log(&self) -> &Lines {
        &self.lines
    }

    pub(crate) fn admin(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    /// Runs a verb that talks to this proxy.
    pub(crate) fn verb(&self, args: &[&str]) -> Output {
        self.verb_of(Path::new(PROGRAM), args)
    }

    /// The same of another file of the program.
    pub(crate) fn verb_of(&self, program: &Path, args: &[&str]) -> Output {
        output(Command::new(program).args(args).arg("--admin").arg(self.admin()).current_dir(self.dir.path()))
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        let output = self.verb(&["status", "--json"]);
        assert!(output.status.success(), "status: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("status --json is JSON")
    }

    /// A server of a pool as `status` tells it; `address` is the end of its URL.
    #[track_caller]
    pub(crate) fn server(&self, address: &str) -> Value {
        let status = self.status();
        let pools = status["pools"].as_array().expect("pools").iter();
        let mut servers = pools.flat_map(|pool| pool["servers"].as_array().expect("servers"));
        let server = servers.find(|server| server["address"].as_str().is_some_and(|a| a.ends_with(address)));
        server.unwrap_or_else(|| panic!("no server {address} in {status:#}")).clone()
    }

    /// Writes the configuration anew and sends SIGHUP; `Err` holds what the proxy says against it.
    #[track_caller]
    pub(crate) fn reload(&self, config: &str) -> Result<(), String> {
        self.write_config(config);
        let before = self.lines.count();
        self.signal(Signal::SIGHUP);
        let told = self.lines.find(before, |line| line.starts_with("reloaded") || line.contains("not reloaded"));
        let told = told.expect("the proxy says how the reload went");
        if told.starts_with("reloaded") { Ok(()) } else { Err(told) }
    }

    pub(crate) fn write_config(&self, config: &str) {
        std::fs::write(self.dir.path().join("ringferry.toml"), complete(config)).unwrap();
    }

    /// Memory of the process that no file stands behind, in KiB.
    #[track_caller]
    pub(crate) fn memory_kib(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("a line of anonymous memory");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> i64 {
        i64::from(self.child.id())
    }

    /// The exit status, once it has ended; its log may go on, if another process has it.
    #[track_caller]
    pub(crate) fn wait_end(&mut self) -> Option<i32> {
        end(&mut self.child).code()
    }

    /// The exit status, and all lines of the log.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> (Option<i32>, Vec<String>) {
        let lines = self.lines.to_end();
        (end(&mut self.child).code(), lines)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the proxy\n{}\n---", self.lines.all().join("\n"));
            return;
        }
        // A bug that ends one connection is easily taken for the end that a test expects.
        let log = self.lines.to_end();
        let panicked = log.iter().any(|line| line.contains(" panicked at "));
        assert!(!panicked, "the proxy has panicked:\n{}", log.join("\n"));
    }
}

fn complete(config: &str) -> String {
    let has_tls = config.contains("\ncert = ") || config.contains("\ntls = ");
    let listen = match (config.contains("[listen]"), has_tls) {
        (true, _) => "",
        (false, false) => "\n[listen]\nhttp = \"127.0.0.1:0\"\n",
        (false, true) => "\n[listen]\nhttp = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\n",
    };
    format!("{config}{listen}")
}

/// The protocol and the address in `listening on http://ADDRESS (…)`, with the loopback address in place of all addresses.
fn listening_on(line: &str) -> Option<(String, SocketAddr)> {
    let url = line.strip_prefix("listening on ")?.split_whitespace().next()?;
    let (protocol, address) = url.split_once("://").unwrap_or_else(|| panic!("not a URL: {line}"));
    let address: SocketAddr = address.parse().unwrap_or_else(|_| panic!("not an address: {line}"));
    let everywhere = address.ip().is_unspecified();
    Some((protocol.to_owned(), if everywhere { (Ipv4Addr::LOCALHOST, address.port()).into() } else { address }))
}

/// Runs a program that is to end within [`WAIT`].
fn output(command: &mut Command) -> Output {
    let command = command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (stdout, stderr) = (Lines::of(child.stdout.take().unwrap()), Lines::of(child.stderr.take().unwrap()));
    let status = end(&mut child);
    let bytes = |lines: Lines| lines.to_end().join("\n").into_bytes();
    Output { status, stdout: bytes(stdout), stderr: bytes(stderr) }
}

/// Waits for a program that is to end.
#[track_caller]
fn end(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + WAIT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    panic!("the program does not end");
}
