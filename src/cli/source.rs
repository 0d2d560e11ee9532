//! From a file or a text to a configuration, with its problems printed: the first step of most verbs.

use super::{CONFIG_FILE, Exit, complain, wants_color};
use crate::config::{Loaded, Problem, load};
use crate::model::Config;
use std::io;
use std::path::Path;

/// The configuration in `file`. Problems, warnings too, are printed; errors end the verb.
pub(super) fn config(file: &Path) -> Result<Config, Exit> {
    let (name, text) = read(file)?;
    let Loaded { config, problems } = load(&text, &name);
    print(&problems, &name);
    config.ok_or(Exit::Configuration)
}

/// The same for those who can do without one: where no file was named, and the usual one is not there, it is as empty.
pub(super) fn config_if_any(file: &Path) -> Result<Config, Exit> {
    let is_absent = file == Path::new(CONFIG_FILE)
        && matches!(file.symlink_metadata(), Err(why) if why.kind() == io::ErrorKind::NotFound);
    if is_absent { Ok(Config::default()) } else { config(file) }
}

/// The name that messages use for `file`, and its text.
pub(super) fn read(file: &Path) -> Result<(String, String), Exit> {
    let name = file.display().to_string();
    match std::fs::read_to_string(file) {
        Ok(text) => Ok((name, text)),
        Err(error) => {
            complain(format_args!("{name}: {}", unreadable(&error)));
            Err(Exit::Configuration)
        }
    }
}

/// Prints problems to stderr, in colour where a person is likely to look.
pub(super) fn print(problems: &[Problem], name: &str) {
    let color = wants_color(&io::stderr());
    for problem in problems {
        eprintln!("{}", problem.render(name, color));
    }
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file; name another with -c FILE, or try `ringferry demo`".into(),
        io::ErrorKind::PermissionDenied => {
            "may not be read by this user; change its mode, or run as another user".into()
        }
        io::ErrorKind::InvalidData => "is not UTF-8 text; save it as UTF-8".into(),
        io::ErrorKind::IsADirectory => "is a directory; name the file in it".into(),
        _ => error.to_string(),
    }
}
