//! Whole texts: the problems that they get, word for word, the model that they mean, and what no text may do.

mod keys;
mod meaning;
mod properties;
mod syntax;
mod ties;

use super::load;

/// The problems of `text`, as they are shown.
#[track_caller]
fn check(text: &str, expect: &str) {
    let problems = load(text, "r.toml").problems;
    let shown: Vec<String> = problems.iter().map(|problem| problem.render("r.toml", false)).collect();
    assert_eq!(shown.join("\n"), expect);
}
