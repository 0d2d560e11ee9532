//! `ringferry demo`: three little sites and the proxy in front of them.
//!
//! The proxy runs from a configuration file like any other, written here where the user can read and copy it.

use super::boot::serve;
use super::{DemoArgs, Exit, complain, say, source, unix_s};
use crate::app::{Boot, State};
use crate::demo::{self, Port};
use crate::model::Config;
use crate::tls::Problem;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub(super) fn demo(args: DemoArgs) -> Exit {
    let cannot_start = |error| {
        complain(format_args!("the demo cannot start: {error}"));
        Exit::BindOrPermission
    };
    let taken = |port, option, error| {
        complain(format_args!("port {port}: {error}; try another with {option}"));
        Exit::BindOrPermission
    };
    // The sites first: they take any ports, and must not take the ones that are found free for the proxy.
    let sites = match demo::start() {
        Ok(sites) => sites,
        Err(error) => return cannot_start(error),
    };
    let http = match free_port(args.port) {
        Ok(found) => found,
        Err(error) => return taken(args.port, "--port", error),
    };
    let authority = match authority() {
        Ok(certificate) => Some(certificate),
        Err(problem) => {
            complain(format_args!("without https: {problem}; {}", problem.fault.hint()));
            None
        }
    };
    let https = match authority.as_ref().map(|_| free_port(args.https_port)).transpose() {
        Ok(found) => found,
        Err(error) => return taken(args.https_port, "--https-port", error),
    };
    let shown = https.as_ref().map(|free| free.port).zip(authority.as_deref());
    let text = demo::config_text(http.port, shown.map(|(port, _)| port), &sites);
    let file = match write(&text) {
        Ok(file) => file,
        Err(error) => return cannot_start(error),
    };
    say(introduction(http.port.number, shown, &file, &text));
    // Held until both were found, so that they are two.
    drop((http, https));
    let exit = match source::config(&file) {
        Ok(config) => {
            let (kernel, admin) = (args.kernel.choice, args.admin);
            serve(Boot { config, file: Some(file.clone()), cores: None, kernel, admin, quiet: false })
        }
        Err(exit) => exit,
    };
    // The text stays on the screen; only the file goes.
    let _ = file.parent().map(std::fs::remove_dir_all);
    exit
}

/// Makes our own authority, if there is none yet. Where its certificate lies.
fn authority() -> Result<PathBuf, Problem> {
    let state = State::of(&Config::default())?;
    state.authority(unix_s())?;
    Ok(state.certificate_path())
}

/// A port that is free as long as this is held.
struct Free {
    port: Port,
    _held: [Option<TcpListener>; 2],
}

/// The first port from `first` on that is free on loopback. 0 asks for any.
fn free_port(first: u16) -> io::Result<Free> {
    let mut last_error = None;
    for port in first..=first.saturating_add(PORTS_TRIED - 1) {
        match probe(port) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last_error = Some(error),
            decided => return decided,
        }
    }
    Err(last_error.expect("at least one port was tried"))
}

fn probe(port: u16) -> io::Result<Free> {
    let ipv4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let number = ipv4.local_addr()?.port();
    match TcpListener::bind((Ipv6Addr::LOCALHOST, number)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        // An error: no IPv6 on this machine.
        ipv6 => Ok(Free { port: Port { number, ipv6: ipv6.is_ok() }, _held: [Some(ipv4), ipv6.ok()] }),
    }
}

/// Writes the configuration into a new directory of this user alone: nobody can have put a link there before.
fn write(text: &str) -> io::Result<PathBuf> {
    let directory = std::env::temp_dir().join(format!("ringferry-demo-{}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&directory)?;
    let file = directory.join("ringferry.toml");
    std::fs::write(&file, text)?;
    Ok(file)
}

/// `https` is its port and where the certificate lies that is to be trusted.
fn introduction(port: u16, https: Option<(Port, &Path)>, file: &Path, text: &str) -> String {
    let (file, pid) = (file.display(), std::process::id());
    let addresses = [("Blog", "blog"), ("Files", "files"), ("Chat", "chat")].map(|(name, host)| {
        let secure = https.map(|(secure, _)| format!("https://{host}.localhost:{}/", secure.number));
        let plain = format!("http://{host}.localhost:{port}/");
        format!("  {name:<7} {plain:<32}{}", secure.unwrap_or_default()).trim_end().to_owned() + "\n"
    });
    let (addresses, trust) = (addresses.concat(), https.map(trust).unwrap_or_default());
    let resolve = https.map(|(secure, _)| format!(" --resolve '*:{}:127.0.0.1'", secure.number)).unwrap_or_default();
    format!(
        r#"
{addresses}  and     http://localhost:{port}/blog/
{trust}
The configuration, to copy and change: {file}

{text}
Try, in another terminal:

  curl http://localhost:{port}/blog/crossing
  curl -s http://files.localhost:{port}/1g | curl -T - http://files.localhost:{port}/upload
  curl -d "hello from curl" http://chat.localhost:{port}/say

If your curl does not know *.localhost, add:  --resolve '*:{port}:127.0.0.1'{resolve}
After a change to the file:  kill -HUP {pid}
Ctrl-C ends the demo.
"#
    )
}

fn trust((port, certificate): (Port, &Path)) -> String {
    let (port, certificate) = (port.number, certificate.display());
    format!(
        r#"
Browsers warn of https:// here, because nobody has told them to trust the authority of this machine.
`ringferry cert ca > ringferry-ca.pem` writes its certificate and says how that is done. curl is told so:

  curl --cacert {certificate} https://blog.localhost:{port}/
"#
    )
}

const PORTS_TRIED: u16 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_passed_over() {
        let taken = free_port(0).unwrap();
        assert_ne!(taken.port.number, 0);
        match free_port(taken.port.number) {
            Ok(next) => assert!(next.port.number > taken.port.number),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse),
        }
    }

    #[test]
    fn without_an_authority_nothing_is_said_of_https() {
        let file = Path::new("/tmp/ringferry.toml");
        assert!(!introduction(8080, None, file, "").contains("https://"));
        let port = Port { number: 8443, ipv6: true };
        let text = introduction(8080, Some((port, Path::new("/state/authority.pem"))), file, "");
        assert!(text.contains("curl --cacert /state/authority.pem https://blog.localhost:8443/"), "{text}");
    }

    #[test]
    fn the_file_holds_the_text_and_is_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let file = write("text").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");
        let directory = file.parent().unwrap();
        assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(write("a second one").is_err(), "a directory that is there is never used");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
