//! What no input may break, for the fuzzer and for the replay of its corpora by `cargo test`.

mod script;

use ringferry::config::{self, Severity};
use ringferry::route::Table;

/// Any text is a configuration or is told what is wrong with it; the same each time.
pub(crate) fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let loaded = config::load(text, "fuzz.toml");
    let render = |loaded: &config::Loaded| -> Vec<String> {
        loaded.problems.iter().map(|problem| problem.render("fuzz.toml", false)).collect()
    };
    let problems = render(&loaded);
    assert!(problems.iter().all(|problem| problem.starts_with("fuzz.toml:")), "{problems:?}");
    let has_errors = loaded.problems.iter().any(|problem| problem.severity == Severity::Error);
    assert_eq!(loaded.config.is_none(), has_errors, "{problems:?}");
    if let Some(config) = &loaded.config {
        // What is accepted can be served.
        drop(Table::build(config));
    }
    let again = config::load(text, "fuzz.toml");
    assert!(render(&again) == problems && again.config == loaded.config, "not the same twice");
}

/// Any script leaves the runtime whole: see the module.
pub(crate) fn script(data: &[u8]) {
    script::run(data);
}
