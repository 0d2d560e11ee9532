//! The configuration file, and whether something serves by it. What is wrong in it says `check`.

use super::{Finding, Running};
use crate::config::{Severity, load};
use crate::model::Config;
use std::io::ErrorKind;
use std::path::Path;

/// What is in the file.
#[derive(Debug)]
pub enum ConfigFile {
    /// A configuration, with so many warnings.
    Good(Box<Config>, usize),
    /// So many errors.
    Bad(usize),
    /// It cannot be read; why.
    Unreadable(String),
    /// There is no such file, and nobody has named one.
    Absent,
}

impl ConfigFile {
    /// Reads it. The `usual` one need not be there.
    pub fn read(path: &Path, usual: &Path) -> ConfigFile {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(why) if why.kind() == ErrorKind::NotFound && path == usual => return ConfigFile::Absent,
            Err(why) => return ConfigFile::Unreadable(why.to_string()),
        };
        let loaded = load(&text, &path.display().to_string());
        match loaded.config {
            Some(config) => ConfigFile::Good(Box::new(config), loaded.problems.len()),
            None => {
                let errors = loaded.problems.iter().filter(|problem| problem.severity == Severity::Error);
                ConfigFile::Bad(errors.count())
            }
        }
    }

    /// The configuration, if it is good.
    pub fn config(&self) -> Option<&Config> {
        match self {
            ConfigFile::Good(config, _) => Some(config),
            ConfigFile::Bad(_) | ConfigFile::Unreadable(_) | ConfigFile::Absent => None,
        }
    }
}

pub(super) fn judge(path: &Path, file: &ConfigFile, running: &Running) -> Finding {
    let path = path.display();
    let check = format!("ringferry check -c {path}");
    let serves = running.told();
    if matches!(running, Running::Silent) {
        let todo = "see what it says, and restart it: journalctl -eu ringferry; sudo systemctl restart ringferry";
        return Finding::bad("configuration", serves, todo);
    }
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    match file {
        ConfigFile::Good(_, 0) => Finding::ok("configuration", format!("{path} is good; {serves}")),
        ConfigFile::Good(_, warnings) => {
            let warnings = plural(*warnings, "warning");
            Finding::hint("configuration", format!("{path} has {warnings}; {serves}"), check)
        }
        ConfigFile::Bad(errors) => {
            Finding::bad("configuration", format!("{path} has {}; {serves}", plural(*errors, "error")), check)
        }
        ConfigFile::Unreadable(why) => {
            let todo = "name another with -c FILE, or ask as a user who may read it: sudo ringferry doctor";
            Finding::bad("configuration", format!("{path} cannot be read: {why}; {serves}"), todo)
        }
        // `proxy` and `demo` have none.
        ConfigFile::Absent if running.pid().is_some() => {
            Finding::ok("configuration", format!("there is no {path}; {serves}"))
        }
        ConfigFile::Absent => Finding::hint(
            "configuration",
            format!("there is no {path} yet; {serves}"),
            "ringferry demo, for a first look; or name a file with -c FILE",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn what_is_in_the_file_is_told_and_who_serves() {
        let usual = Path::new("/no/such/file.toml");
        let (absent, other) = (ConfigFile::read(usual, usual), ConfigFile::read(usual, Path::new("/etc/other.toml")));
        let running = Running::planted("io_uring", None, &[]);
        let unknown = Running::Unknown("permission denied".into());
        let good = |warnings| ConfigFile::Good(Box::default(), warnings);
        for (file, running, level, told) in [
            (good(0), &Running::No, Level::Ok, "file.toml is good; no Ringferry runs"),
            (good(0), &running, Level::Ok, "runs (pid 4711), on io_uring"),
            (good(1), &running, Level::Hint, "file.toml has 1 warning; "),
            (
                ConfigFile::Bad(2),
                &unknown,
                Level::Bad,
                "has 2 errors; whether a Ringferry runs cannot be told (permission",
            ),
            (absent, &Running::No, Level::Hint, "there is no /no/such/file.toml yet"),
            (other, &Running::No, Level::Bad, "cannot be read: No such file"),
            (good(0), &Running::Silent, Level::Bad, "has not answered"),
        ] {
            let found = judge(usual, &file, running);
            assert_eq!((found.level, found.seen.contains(told)), (level, true), "{found:?}");
        }
    }
}
