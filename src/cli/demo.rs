//! `ringferry demo`: three little sites and the proxy in front of them.
//!
//! The proxy runs from a configuration file like any other, written here where the user can read and copy it.

use super::boot::serve;
use super::{DemoArgs, Exit, complain, say, source};
use crate::app::Boot;
use crate::demo;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub(super) fn demo(args: DemoArgs) -> Exit {
    let cannot_start = |error| {
        complain(format_args!("the demo cannot start: {error}"));
        Exit::BindOrPermission
    };
    // The sites first: they take any ports, and must not take the one that is found free for the proxy.
    let sites = match demo::start() {
        Ok(sites) => sites,
        Err(error) => return cannot_start(error),
    };
    let (port, ipv6) = match free_port(args.port) {
        Ok(found) => found,
        Err(error) => {
            complain(format_args!("port {}: {error}; try another with --port", args.port));
            return Exit::BindOrPermission;
        }
    };
    let text = demo::config_text(port, ipv6, &sites);
    let file = match write(&text) {
        Ok(file) => file,
        Err(error) => return cannot_start(error),
    };
    say(introduction(port, &file, &text));
    let exit = match source::config(&file) {
        Ok(config) => serve(Boot { config, file: Some(file.clone()), cores: None, admin: args.admin, quiet: false }),
        Err(exit) => exit,
    };
    // The text stays on the screen; only the file goes.
    let _ = file.parent().map(std::fs::remove_dir_all);
    exit
}

/// The first port from `first` on that is free on loopback, and whether there is IPv6. 0 asks for any.
fn free_port(first: u16) -> io::Result<(u16, bool)> {
    let mut last_error = None;
    for port in first..=first.saturating_add(PORTS_TRIED - 1) {
        match probe(port) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last_error = Some(error),
            decided => return decided,
        }
    }
    Err(last_error.expect("at least one port was tried"))
}

fn probe(port: u16) -> io::Result<(u16, bool)> {
    let ipv4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let port = ipv4.local_addr()?.port();
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
        Ok(_) => Ok((port, true)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        // No IPv6 on this machine.
        Err(_) => Ok((port, false)),
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

fn introduction(port: u16, file: &Path, text: &str) -> String {
    let (file, pid) = (file.display(), std::process::id());
    format!(
        r#"
  Blog    http://blog.localhost:{port}/    and  http://localhost:{port}/blog/
  Files   http://files.localhost:{port}/
  Chat    http://chat.localhost:{port}/

The configuration, to copy and change: {file}

{text}
Try, in another terminal:

  curl http://localhost:{port}/blog/crossing
  curl -s http://files.localhost:{port}/1g | curl -T - http://files.localhost:{port}/upload
  curl -d "hello from curl" http://chat.localhost:{port}/say

If your curl does not know *.localhost, add:  --resolve '*:{port}:127.0.0.1'
After a change to the file:  kill -HUP {pid}
Ctrl-C ends the demo.
"#
    )
}

const PORTS_TRIED: u16 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_passed_over() {
        let (any, _) = free_port(0).unwrap();
        assert_ne!(any, 0);
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        match free_port(port) {
            Ok((next, _)) => assert!(next > port),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse),
        }
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
