//! The seams to modules that are built beside this one, one small function each. Goes away when they meet.

use super::{Exit, complain};
use crate::model::{Config, Cores};
use std::path::{Path, PathBuf};

/// What `app::run` needs to boot the proxy.
#[allow(dead_code)]
pub(super) struct Boot {
    /// The configuration to start with.
    pub(super) config: Config,
    /// Where a reload reads it again; `None` where there is no file.
    pub(super) file: Option<PathBuf>,
    /// Wins over `cores` of the file, also after a reload.
    pub(super) cores: Option<Cores>,
    /// The admin socket to open.
    pub(super) admin: Option<PathBuf>,
    /// No access log.
    pub(super) quiet: bool,
}

/// `app::run`: serves until a signal ends it.
pub(super) fn run(_boot: Boot) -> Exit {
    not_here("serving")
}

/// `cli::status`.
pub(super) fn status(_admin: &Path, _json: bool) -> Exit {
    not_here("status")
}

/// `cli::reload`.
pub(super) fn reload(_admin: &Path, _dry_run: bool, _json: bool) -> Exit {
    not_here("reload")
}

fn not_here(what: &str) -> Exit {
    complain(format_args!("{what} is not part of this build"));
    Exit::Configuration
}
