//! The seams to modules that are built beside this one, one small function each. Goes away when they meet.

use super::{Exit, complain};
use crate::model::{Config, Cores, ListenerId, RouteId, SiteId};
use std::fmt;
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

/// `config::parse_cores`.
pub(super) fn parse_cores(text: &str) -> Result<Cores, String> {
    match text.parse() {
        Ok(cores @ 1..=1024) => Ok(Cores::Count(cores)),
        _ => Err("write a number of processors, 1 or more".into()),
    }
}

/// `route::Explanation`.
pub(super) struct Explanation {
    pub(super) listener: String,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) outcome: Result<Found, NoRoute>,
    pub(super) candidates: Vec<Candidate>,
}

/// `route::Found`.
#[allow(dead_code)]
pub(super) struct Found {
    pub(super) site: SiteId,
    pub(super) route: RouteId,
}

/// `route::NoRoute`.
pub(super) struct NoRoute;

/// `route::Candidate`.
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) route: Option<(RouteId, String)>,
    pub(super) verdict: Verdict,
}

/// `route::Verdict`.
#[derive(PartialEq)]
#[allow(dead_code)]
pub(super) enum Verdict {
    Wins,
    OtherHost,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} on {}", self.host, self.path, self.listener)
    }
}

impl fmt::Display for NoRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("routing is not part of this build")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("")
    }
}

/// `parser::path::normalize`; an error says that such a path is refused with 400.
pub(super) fn normalised(path: &str) -> Result<String, String> {
    Ok(path.into())
}

/// `route::explain` on a table of `config`.
pub(super) fn route_explain(config: &Config, listener: ListenerId, host: &str, path: &str) -> Explanation {
    let listener = config.listeners[listener.index()].address.to_string();
    Explanation { listener, host: host.into(), path: path.into(), outcome: Err(NoRoute), candidates: Vec::new() }
}

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
