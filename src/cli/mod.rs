//! The command line: what can be typed, and the exit codes that scripts may rely on.
//!
//! Every verb is defined here, so that this file reads like the manual; what a verb does is in the file of its name.
//! Nothing here knows HTTP, sockets or the runtime: verbs end in `config`, `route`, `app` or the admin socket.

mod admin_path;
mod ask;
mod boot;
mod cert;
mod check;
mod demo;
mod doctor;
mod explain;
mod proxy;
mod reload;
mod run;
mod source;
mod status;
mod upgrade;
mod version;

use crate::model::{Cores, KernelChoice};
use clap::{Args, Parser, Subcommand};
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{ExitCode, Termination};
use std::time::{SystemTime, UNIX_EPOCH};

/// Reads the arguments, does what they ask, and returns what the process exits with.
pub fn main() -> Exit {
    // clap answers `--help` and usage errors itself: exit codes 0 and 2, colours by terminal and NO_COLOR.
    match Cli::parse().verb {
        Verb::Run(args) => run::run(args),
        Verb::Check(args) => check::check(args),
        Verb::Explain(args) => explain::explain(args),
        Verb::Cert(args) => cert::cert(args),
        Verb::Status(args) => status::status(&args.admin.path(), args.json),
        Verb::Reload(args) => reload::reload(&args.admin.path(), &args),
        Verb::Upgrade(args) => upgrade::upgrade(&args.admin.path()),
        Verb::Doctor(args) => doctor::doctor(args),
        Verb::Proxy(args) => proxy::proxy(args),
        Verb::Demo(args) => demo::demo(args),
        Verb::Version => version::version(),
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: it did what was asked.
    Ok,
    /// 1: the configuration is wrong, or cannot be read.
    Configuration,
    /// 1 as well: `doctor` found something bad.
    Unwell,
    /// 2: the command line is wrong. clap exits with the same code by itself.
    Usage,
    /// 2 as well: `check --strict` found warnings and no error.
    Warnings,
    /// 3: an address cannot be bound, or a permission is missing.
    BindOrPermission,
    /// 4: no Ringferry answers at the admin socket.
    NotRunning,
}

impl Exit {
    /// The number that the process exits with.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Configuration | Exit::Unwell => 1,
            Exit::Usage | Exit::Warnings => 2,
            Exit::BindOrPermission => 3,
            Exit::NotRunning => 4,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.code().into()
    }
}

/// Prints an answer. A reader who has seen enough and closed the pipe is no error.
fn say(answer: impl Display) {
    let _ = writeln!(io::stdout(), "{answer}");
}

/// Prints the one line that an error is: what, where, why, what to do.
fn complain(error: impl Display) {
    let _ = writeln!(io::stderr(), "ringferry: {error}");
}

/// Whether what goes to `stream` is coloured: where a person looks who has not said no (no-color.org).
fn wants_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Seconds since 1970, by the clock of the wall.
fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A reverse proxy on io_uring, for small boards: several sites behind one port.
#[derive(Parser, Debug)]
#[command(name = "ringferry", version, subcommand_required = true, arg_required_else_help = true)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "\
Try it:              ringferry demo
One application:     ringferry proxy --from :8080 --to 3000
From a file:         ringferry check -c sites.toml && ringferry run -c sites.toml
Is the board well?   sudo ringferry doctor

Exit codes: 0 ok, 1 configuration, 2 usage, 3 bind or permission, 4 not running.
Signals of `run`: SIGHUP reloads, SIGTERM drains and ends, a second SIGTERM ends at once.")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Run(RunArgs),
    Check(CheckArgs),
    Explain(ExplainArgs),
    Cert(CertArgs),
    Status(StatusArgs),
    Reload(ReloadArgs),
    Upgrade(UpgradeArgs),
    Doctor(DoctorArgs),
    Proxy(ProxyArgs),
    Demo(DemoArgs),
    /// Print the version
    Version,
}

/// Serve the sites of a configuration file.
///
/// Stays in the foreground, logs to stderr. SIGHUP (or `ringferry reload`) reads the file again without dropping a
/// connection; a file with errors changes nothing. SIGTERM lets requests in flight finish.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ringferry run                              serve /etc/ringferry/ringferry.toml
  ringferry run -c sites.toml --cores 2      another file, two processors
  ringferry run -c sites.toml --quiet        no access log, errors only")]
struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Use the first N processors, or these (`0-2`, `0,2`), whatever the file says
    #[arg(long, value_name = "N", value_parser = crate::config::parse_cores)]
    cores: Option<Cores>,
    #[command(flatten)]
    kernel: KernelArg,
    #[command(flatten)]
    admin: AdminArg,
    /// Write no access log
    #[arg(long)]
    quiet: bool,
}

/// Read a configuration and report every problem at once.
///
/// Each problem comes with its file, line and column, the line itself, and what to write instead. A host name of an
/// upstream that does not resolve here is a warning: it may resolve later, and `run` starts without it.
///
/// The certificates and keys that it names are read as `run` reads them, so run it as the user who may. One that clients
/// refuse, or one of several that cannot be used, is a warning. It is an error where a site is left with none, with
/// clients that it cannot tell, or a server with nobody to vouch for it; `run` starts all the same, and serves the rest.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ringferry check                            check /etc/ringferry/ringferry.toml
  ringferry check -c sites.toml --strict     warnings count too (exit code 2)
  ringferry check -c sites.toml --json       for editors and scripts")]
struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Exit with 2 when there are warnings
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Say which site, route and servers a URL reaches, and why the others lost.
///
/// Uses the routing code of the proxy itself, on the file; nothing needs to be running and no request is sent.
/// Certificates are not read: that they can be used says `check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ringferry explain https://blog.example.com/2024/
  ringferry explain http://localhost:8080/blog/ -c sites.toml
  ringferry explain tls://vpn.example.com    by the name in TLS alone; tls://:443 sends none
  ringferry explain tcp://:2222              which stream; udp://:53 as well")]
struct ExplainArgs {
    /// The URL as a client would ask for it
    #[arg(value_name = "URL")]
    url: String,
    /// Say whether a client at this address may come
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    #[command(flatten)]
    config: ConfigArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show the certificates of the sites, or the one of our own authority.
///
/// Without a verb of its own it lists them. `list` reads the files as they are now: what a running Ringferry has in use
/// it reads at a reload.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  ringferry cert                             hosts, kinds of keys, days left, problems
  ringferry cert list -c sites.toml --json   for scripts that watch over them
  ringferry cert ca > ringferry.crt          the one that devices have to trust")]
struct CertArgs {
    #[command(subcommand)]
    verb: Option<CertVerb>,
    #[command(flatten)]
    list: CertListArgs,
}

#[derive(Subcommand, Debug)]
enum CertVerb {
    List(CertListArgs),
    Ca(CertCaArgs),
}

/// List the certificates of each site that ends TLS: keys, names, days left, problems.
///
/// The exit code is 1 if a site is left without any that can be used.
#[derive(Args, Debug)]
struct CertListArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Print the certificate of our own authority, which issues for sites with tls = "internal".
///
/// Makes the authority if there is none yet, so run it as the user who runs Ringferry, or as root. The certificate goes
/// to stdout, in PEM; how to install it is told on a terminal. Its key stays where it is. Of the configuration only
/// `state` counts, so there need be no file.
#[derive(Args, Debug)]
struct CertCaArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Print JSON: the certificate with its name, SHA-256 and validity
    #[arg(long)]
    json: bool,
}

/// Show what a running Ringferry is doing.
///
/// Connections, requests and errors since the start, each core, the certificates in use with the days that they have left,
/// and each pool with the state of its servers.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ringferry status
  ringferry status --json
  ringferry status --admin /run/user/1000/ringferry.sock")]
struct StatusArgs {
    #[command(flatten)]
    admin: AdminArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Make a running Ringferry read its configuration again.
///
/// No connection is dropped. When the file has errors nothing changes, they are printed, and the exit code is 1.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ringferry reload --dry-run                 is the file good?
  ringferry reload")]
struct ReloadArgs {
    /// Only say whether the file is good and its addresses are free
    #[arg(long)]
    dry_run: bool,
    /// Where the running process is of another program than this one, upgrade it instead
    #[arg(long, conflicts_with_all = ["dry_run", "json"])]
    or_upgrade: bool,
    #[command(flatten)]
    admin: AdminArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Have this program take over from a running one.
///
/// The new process gets the listening sockets of the old one, so that no connection is refused and no request lost. The
/// old one finishes what it has begun, for `timeouts.drain` at most. Where the new one cannot start, nothing changes. A
/// service of systemd is upgraded by `systemctl reload`, to the program that is installed.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  sudo ringferry upgrade                     to the program that is installed
  ./ringferry upgrade --admin /tmp/r.sock    to this one")]
struct UpgradeArgs {
    #[command(flatten)]
    admin: AdminArg,
}

/// Say what of this machine matters for Ringferry, and what to do about it.
///
/// The kernel and io_uring, found by trying; limits of descriptors, pipes, sockets and memory; the disk; the clock, before
/// which no certificate is judged; power and heat of a Raspberry Pi; the container, if it is one; names and IPv6. Of the
/// configuration: whether it is good, its certificates, the names of its servers, and who holds its ports.
///
/// It changes nothing and takes no longer than a few seconds. The exit code is 1 if something is bad; hints are no reason.
/// Run it with sudo to see what only root may.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  sudo ringferry doctor                      before the first start, or when something is odd
  ringferry doctor -c sites.toml             with the ports, names and certificates of this file
  ringferry doctor --json                    for scripts, and for a report")]
struct DoctorArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    admin: AdminArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Put one application behind a port, without a file.
///
/// Prints the configuration that it runs, to copy once it has to grow.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ringferry proxy --from :8080 --to 3000                      any host, to 127.0.0.1:3000
  ringferry proxy --from :80 --to app.lan:8123 --host home.example.com
  ringferry proxy --from 127.0.0.1:8080 --to unix:/run/app.sock")]
struct ProxyArgs {
    /// Where to listen: `:8080` (IPv4 and IPv6), `127.0.0.1:8080`, `[::1]:8080`
    #[arg(long, value_name = "ADDRESS")]
    from: String,
    /// Where the application is: a port of this machine, `host:port`, a URL, or `unix:PATH`
    #[arg(long, value_name = "UPSTREAM")]
    to: String,
    /// Answer for this host only; others get 421
    #[arg(long, value_name = "HOST", default_value = "*", hide_default_value = true)]
    host: String,
    #[command(flatten)]
    kernel: KernelArg,
    /// Open an admin socket here, for `status` and `reload`
    #[arg(long, value_name = "PATH")]
    admin: Option<PathBuf>,
}

/// Start three little sites and the proxy in front of them.
///
/// A blog, a file server for one large download and for uploads, and a chat over WebSocket, all in this process and
/// on this machine only. Prints their addresses, the configuration that it runs, and commands to try.
///
/// Each is there by http:// and by https://. Certificates come from an authority of this machine, which is made if there
/// is none yet (`ringferry cert ca --help`); where it cannot be kept, the demo goes without https.
#[derive(Args, Debug)]
#[command(after_help = "\
Browsers and curl resolve *.localhost by themselves. To look at a board from another machine:
  ssh -L 8080:localhost:8080 -L 8443:localhost:8443 pi@raspberrypi")]
struct DemoArgs {
    /// The port for http://; the next free one if it is taken
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// The port for https://; the next free one if it is taken
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    https_port: u16,
    #[command(flatten)]
    kernel: KernelArg,
    /// Open an admin socket here, for `status` and `reload`
    #[arg(long, value_name = "PATH")]
    admin: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct ConfigArg {
    /// The configuration file
    #[arg(short = 'c', long = "config", value_name = "FILE", default_value = CONFIG_FILE)]
    file: PathBuf,
}

/// The configuration file where none is named.
const CONFIG_FILE: &str = "/etc/ringferry/ringferry.toml";

#[derive(Args, Debug)]
struct KernelArg {
    /// What does the I/O: `uring`, `epoll`, or `auto`, which is io_uring where the system allows it and epoll elsewhere
    #[arg(long = "kernel", value_name = "KERNEL", value_parser = crate::config::parse_kernel)]
    choice: Option<KernelChoice>,
}

#[derive(Args, Debug)]
struct AdminArg {
    /// The admin socket [default: /run/ringferry.sock, or $XDG_RUNTIME_DIR/ringferry.sock where /run is not writable]
    #[arg(long = "admin", value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[cfg(test)]
mod manual;
#[cfg(test)]
mod tests;
