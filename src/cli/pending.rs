//! The seams to modules that are built beside this one, one small function each. Goes away when they meet.

use super::{Exit, complain};
use crate::model::Config;
use std::path::{Path, PathBuf};

/// What `config::load` returns.
pub(super) struct Loaded {
    pub(super) config: Option<Config>,
    pub(super) problems: Vec<Problem>,
}

/// What `config` calls a problem.
pub(super) struct Problem {
    pub(super) severity: Severity,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

#[derive(PartialEq)]
pub(super) enum Severity {
    Error,
    #[allow(dead_code)]
    Warning,
}

impl Problem {
    pub(super) fn render(&self, file: &str, _color: bool) -> String {
        format!("{file}:{}:{}: error: {}", self.line, self.column, self.what)
    }
}

/// `config::load(text, file)`.
pub(super) fn load(_text: &str, _file: &str) -> Loaded {
    let what = "reading configurations is not part of this build".into();
    Loaded { config: None, problems: vec![Problem { severity: Severity::Error, line: 1, column: 1, what, hint: None }] }
}

/// `route::explain`: text, and the same as JSON.
pub(super) fn explain(_config: &Config, _url: &str, _json: bool) -> Result<String, String> {
    Err("routing is not part of this build".into())
}

/// What `app::run` needs to boot the proxy.
#[allow(dead_code)]
pub(super) struct Boot {
    /// The configuration to start with.
    pub(super) config: Config,
    /// Where a reload reads it again; `None` where there is no file.
    pub(super) file: Option<PathBuf>,
    /// Wins over `cores` of the file, also after a reload.
    pub(super) cores: Option<usize>,
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
