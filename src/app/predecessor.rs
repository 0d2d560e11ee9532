//! The process that this one takes over from: it passes its listening sockets on, and makes way once this one serves.

use super::Failure;
use crate::control::{Answer, PREDECESSOR, Request, exchange};
use nix::unistd::dup2_stderr;
use std::env;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A process that still accepts what comes.
pub(super) struct Predecessor {
    /// Its admin socket: where it is, and itself.
    path: PathBuf,
    admin: Option<OwnedFd>,
    log: File,
}

impl Predecessor {
    /// The one that the environment names, with its sockets. They stay its own as well.
    pub(super) fn of_environment() -> Result<Option<(Predecessor, Vec<OwnedFd>)>, Failure> {
        let Some(path) = env::var_os(PREDECESSOR).map(PathBuf::from) else { return Ok(None) };
        Predecessor::at(&path).map(Some).map_err(|why| {
            Failure::Resource(format!("cannot take over from the process that answers at {}: {why}", path.display()))
        })
    }

    fn at(path: &Path) -> Result<(Predecessor, Vec<OwnedFd>), String> {
        let (answer, mut descriptors) = asked(path, Request::Sockets {}).map_err(|error| error.to_string())?;
        let has_admin = match answer {
            Answer::Sockets { count, admin } if descriptors.len() == count + usize::from(admin) + 1 => admin,
            Answer::Error { message } => return Err(message),
            _ => return Err("its answer is none".to_owned()),
        };
        let log = descriptors.pop().map(File::from).ok_or("it has no log")?;
        let admin = if has_admin { descriptors.pop() } else { None };
        Ok((Predecessor { path: path.to_owned(), admin, log }, descriptors))
    }

    /// Its admin socket, if that is at `path`. Until it has made way, it answers there.
    pub(super) fn take_admin(&mut self, path: &Path) -> Option<OwnedFd> {
        let is_same = std::path::absolute(path).is_ok_and(|path| path == self.path);
        if is_same { self.admin.take() } else { None }
    }

    /// Where it writes its log, and this process from now on.
    pub(super) fn log(&self) -> io::Result<File> {
        self.log.try_clone()
    }

    /// Has it make way; an error if it does not.
    pub(super) fn make_way(self) -> Result<(), String> {
        let no = |why: &dyn Display| Err(format!("the running process does not make way: {why}"));
        match asked(&self.path, Request::Yield { to: std::process::id(), admin: self.admin.is_none() }) {
            Ok((Answer::Yielded { .. }, _)) => {}
            Ok((Answer::Error { message }, _)) => return no(&message),
            Ok(_) => return no(&"its answer is none"),
            // It is gone, so there is nothing in the way.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {}
            Err(error) => return no(&error),
        }
        // Whoever has started it waits for this line, and then no longer.
        let _ = writeln!(io::stdout(), "{SERVES}");
        let _ = dup2_stderr(&self.log);
        Ok(())
    }
}

/// What a process that has taken over says, once, on its standard output.
pub const SERVES: &str = "serves";

fn asked(admin: &Path, request: Request) -> io::Result<(Answer, Vec<OwnedFd>)> {
    let (line, descriptors) = exchange(admin, request)?;
    Ok((serde_json::from_slice(&line)?, descriptors))
}
