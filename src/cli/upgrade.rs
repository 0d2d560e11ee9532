//! `ringferry upgrade`: this program takes over from a running one, and no request is lost.
//!
//! The running process cannot start another: what it has given up, its children would lack. So it is started here, as the
//! running one was, and gets the sockets from that. A service of systemd stays in its control group: there systemd is
//! asked to run its `ExecReload`, which comes here again, from within.

use super::ask::ask_for;
use super::{Exit, complain, say};
use crate::app::SERVES;
use crate::control::{Answer, PREDECESSOR, Request, Start, control_group};
use std::env;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(super) fn upgrade(admin: &Path) -> Exit {
    let start = match started(admin) {
        Ok(start) => start,
        Err(exit) => return exit,
    };
    match start.service() {
        Some(service) if start.group != control_group() => by_service(admin, service, &start),
        _ => hand_over(admin, &start),
    }
}

/// How the running process was started.
pub(super) fn started(admin: &Path) -> Result<Box<Start>, Exit> {
    ask_for(admin, Request::Start {}, |answer| match answer {
        Answer::Start(start) => Some(start),
        _ => None,
    })
}

/// Starts this program as the running one was started, to take over from it. From here on either the one or the other
/// serves.
pub(super) fn hand_over(admin: &Path, start: &Start) -> Exit {
    if start.pid == 1 {
        complain(
            "it is the first process of a container, which ends with it: start another container, with this program",
        );
        return Exit::BindOrPermission;
    }
    let mut child = match successor(admin, start) {
        Ok(child) => child,
        Err(error) => {
            complain(format_args!("cannot start this program: {error}; nothing has changed"));
            return Exit::BindOrPermission;
        }
    };
    if serves(&mut child) {
        let version = env!("CARGO_PKG_VERSION");
        say(format_args!(
            "process {} serves, with version {version}; process {} finishes what it has begun",
            child.id(),
            start.pid
        ));
        return Exit::Ok;
    }
    let ended = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    complain(format_args!(
        "the new process has ended before it served ({ended}); nothing has changed, process {} goes on",
        start.pid
    ));
    Exit::Configuration
}

fn successor(admin: &Path, start: &Start) -> io::Result<Child> {
    Command::new(env::current_exe()?)
        .args(&start.arguments)
        .current_dir(&start.folder)
        .env_clear()
        .envs(start.environment.iter().map(|(name, value)| (name, value)))
        .env(PREDECESSOR, std::path::absolute(admin)?)
        .stdin(Stdio::null())
        // What goes wrong is told here, before its log is that of the running one.
        .stdout(Stdio::piped())
        // It outlives this terminal, and the keys that are pressed there.
        .process_group(0)
        .spawn()
}

/// Waits until it does; false if it ends before.
fn serves(child: &mut Child) -> bool {
    let lines = child.stdout.take().map(|stdout| BufReader::new(stdout).lines());
    lines.into_iter().flatten().map_while(Result::ok).any(|line| line == SERVES)
}

/// Lets systemd do it, which keeps account of the processes of a service.
fn by_service(admin: &Path, service: &str, before: &Start) -> Exit {
    match Command::new("systemctl").args(["reload", service]).status() {
        Ok(status) if status.success() => {}
        Ok(_) => {
            complain(format_args!("`systemctl reload {service}` has failed; `journalctl -u {service}` says why"));
            return Exit::Configuration;
        }
        Err(error) => {
            complain(format_args!("cannot run `systemctl reload {service}`: {error}"));
            return Exit::BindOrPermission;
        }
    }
    let after = match started(admin) {
        Ok(after) => after,
        Err(exit) => return exit,
    };
    if after.pid == before.pid {
        say(format_args!("{service} runs the installed program already, version {}; it has reloaded", after.version));
    } else {
        say(format_args!("{service} runs version {} now, as process {}", after.version, after.pid));
    }
    Exit::Ok
}
