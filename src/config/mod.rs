//! TOML text → [`model::Config`](crate::model::Config), every problem at once: where it is, the line itself, what to
//! write instead. Pure: reads no file, resolves no name, knows no machine.
//!
//! The way of a text: `syntax` (TOML, recovering from errors) → `raw`, `listen`, `site`, `tls`, `upstream`, `trust`,
//! `access`, `rate`, `privileges` and `stream` (each table by itself, through the typed `reader` and the words of
//! `word`, `name`, `address`, `server`, `file`, `units`) → `check` and `listeners` (what only several tables together
//! can get wrong) → the model. `schema` lists the tables and their keys, `hint` knows what was meant, `defaults` has
//! every default with its why.

mod access;
mod address;
mod check;
mod defaults;
mod file;
mod hint;
mod listen;
mod listeners;
mod name;
mod privileges;
mod problem;
mod rate;
mod raw;
mod reader;
mod schema;
mod server;
mod site;
mod stream;
mod syntax;
#[cfg(test)]
mod tests;
mod tls;
mod trust;
mod units;
mod upstream;
mod word;

pub use problem::{Problem, Severity};

use crate::model::{Config, Cores, KernelChoice};
use reader::Scalar;

/// What a text means, and what is wrong with it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, if no problem is an error.
    pub config: Option<Config>,
    /// Errors and warnings, in file order.
    pub problems: Vec<Problem>,
}

/// Reads the text of a configuration. `file_name` is used where a problem points to another line.
pub fn load(text: &str, file_name: &str) -> Loaded {
    // A byte order mark is no part of the text; editors that write one do not show it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut problems = problem::Problems::new(text, file_name);
    let document = syntax::parse(text, &mut problems);
    let raw = raw::RawConfig::read(&document, &mut problems);
    let config = check::config(raw, &mut problems);
    Loaded { config: (!problems.has_errors()).then_some(config), problems: problems.into_sorted() }
}

/// What a configuration means that says nothing, if it had sites with TLS and without: it has none.
pub fn usual() -> Config {
    Config {
        listeners: vec![defaults::LISTEN_HTTP, defaults::LISTEN_HTTPS],
        kernel: defaults::KERNEL,
        limits: defaults::LIMITS,
        timeouts: defaults::TIMEOUTS,
        log: defaults::LOG,
        via: defaults::VIA,
        kernel_tls: defaults::KERNEL_TLS,
        privileges: defaults::PRIVILEGES,
        ..Config::default()
    }
}

/// Reads `cores` as the configuration does, for the command line: `2`, `0-2`, `0,2`.
pub fn parse_cores(text: &str) -> Result<Cores, String> {
    Cores::from_text(text).map_err(reader::Wrong::into_text)
}

/// The same for `kernel`: `auto`, `uring`, `epoll`.
pub fn parse_kernel(text: &str) -> Result<KernelChoice, String> {
    let named = raw::KERNELS.iter().find(|(name, _)| *name == text);
    named.map(|(_, kernel)| *kernel).ok_or_else(|| "write auto, uring or epoll".to_owned())
}
