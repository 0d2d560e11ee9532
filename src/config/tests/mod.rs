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

use super::load;
use super::reader::{Scalar, Wrong};

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
