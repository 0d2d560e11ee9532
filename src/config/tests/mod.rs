//! Whole texts: the problems that they get, word for word, the model that they mean, and what no text may do.

mod access;
mod keys;
mod listen;
mod meaning;
mod properties;
mod servers;
mod stream;
mod syntax;
mod ties;
mod tls;
mod transport;

use super::reader::{Scalar, Wrong};
use super::{load, usual};
use crate::model::Config;

/// What a scalar written as `text` means, as `show` has it, or what is wrong with it.
#[track_caller]
pub(super) fn check_scalar<T: Scalar>(text: &str, show: impl Fn(T) -> String, expect: Result<&str, &str>) {
    assert_eq!(
        T::from_text(text).map(show).map_err(Wrong::into_what),
        expect.map(str::to_owned).map_err(str::to_owned)
    );
}

/// The problems of `text`, as they are shown.
#[track_caller]
fn check(text: &str, expect: &str) {
    let problems = load(text, "r.toml").problems;
    let shown: Vec<String> = problems.iter().map(|problem| problem.render("r.toml", false)).collect();
    assert_eq!(shown.join("\n"), expect);
}

#[test]
fn what_is_usual_is_what_a_file_without_a_word_about_it_means() {
    let text = "site = [{ host = 'a', upstream = 1 }, { host = 'b', tls = 'internal', upstream = 1 }]";
    let loaded = load(text, "a.toml").config.unwrap();
    let Config { sites, routes, pools, .. } = loaded.clone();
    assert_eq!(Config { sites, routes, pools, ..usual() }, loaded);
}
