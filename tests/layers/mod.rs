//! The layers of `src` (ARCHITECTURE.md) as a test: an import points downwards, never up and never around in a circle.
//!
//! Rust does not keep layers inside a crate, so the sources are read: every path that begins with `crate::` or
//! climbs with `super::` is an import of the module that it names. What macros make is not seen.

mod imports;

use imports::{Module, module_of, modules_named};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Bottom to top; a module imports only from rows before its own.
const ROWS: &[&[&str]] = &[
    &["model"],
    &["config", "route", "balance", "health", "limit", "metrics"],
    &["proto", "tls"],
    &["shared", "log"],
    // It holds the cells of `shared` by the ids of its configuration.
    &["snapshot"],
    &["wire"],
    &["detect", "relay", "room"],
    &["upstream"],
    &["serve", "stream"],
    &["listen"],
    &["worker"],
    &["control"],
    &["app"],
    // Beside what it looks at, and not in it: nothing serves the better for it.
    &["doctor"],
    &["demo"],
    // Above `app`, which boots a proxy from a configuration and does not know who typed what: another program, or a
    // test, could start it the same way. A verb that starts one calls down.
    &["cli"],
    &["lib", "main", "data"],
];

/// The planes share what lies below them; neither names the other.
const DATA_PLANE: &[&str] = &["wire", "detect", "relay", "room", "upstream", "serve", "stream", "listen", "worker"];
const CONTROL_PLANE: &str = "control";

/// What the modules below the planes do without: they neither do I/O nor look at a clock.
const IMPURE: &[&str] = &["ringferry_runtime", "tokio", "tokio_uring", "std::fs", "Instant::now", "SystemTime::now"];
const PURE: &[&str] = &["model", "config", "route", "balance", "health", "limit", "metrics", "proto", "tls"];

/// Sources by their path from the folder that was read.
type Sources = BTreeMap<String, String>;

#[test]
fn imports_point_downwards() {
    assert_eq!(misplaced(&sources("src")), [""; 0]);
}

#[test]
fn no_imports_go_in_a_circle() {
    assert_eq!(circles(&sources("src")), [""; 0]);
}

#[test]
fn pure_modules_do_no_io_and_read_no_clock() {
    assert_eq!(impure(&sources("src")), [""; 0]);
}

#[test]
fn parser_and_runtime_know_nobody() {
    let strangers = |folder: &str, others: &[&str]| {
        let manifest = sources(folder).into_iter().chain([("Cargo.toml".to_owned(), read(folder, "Cargo.toml"))]);
        let found = manifest.filter(|(_, text)| others.iter().any(|other| text.contains(other)));
        found.map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(strangers("parser", &["ringferry_runtime", "ringferry-runtime =", "ringferry::"]), [""; 0]);
    assert_eq!(strangers("runtime", &["ringferry_parser", "ringferry-parser =", "ringferry::"]), [""; 0]);
}

#[test]
fn a_planted_import_is_found() {
    #[track_caller]
    fn check(path: &str, text: &str, expect: &[&str]) {
        assert_eq!(misplaced(&planted(&[(path, text)])), expect);
    }
    check("serve/mod.rs", "use crate::relay::Source;", &[]);
    check("route/mod.rs", "use crate::serve::Exchange;", &["route/mod.rs imports serve"]);
    check("route/table.rs", "use crate::{model::Site, worker};", &["route/table.rs imports worker"]);
    check("route/table.rs", "use super::super::balance::Picker;", &["route/table.rs imports balance"]);
    check("proto/h1/body.rs", "fn f() { crate::log::line() }", &["proto/h1/body.rs imports log"]);
    check("upstream/dial.rs", "use crate::control;", &["upstream/dial.rs imports control"]);
    check("control/mod.rs", "use crate::relay;", &["control/mod.rs imports relay"]);
    check("control/mod.rs", "use crate::{shared::Cell, snapshot::Snapshot};", &[]);
    check("listen.rs", "use crate::listen::own; // use crate::worker;\nconst S: &str = \"crate::worker\";", &[]);
    check("app.rs", "use crate::{worker, control};", &[]);
    check("app.rs", "use crate::cli::Exit;", &["app.rs imports cli"]);
    check("cli/run.rs", "use crate::{app::Boot, demo};", &[]);
    check("main.rs", "ringferry::cli::main()", &[]);
    check("serve/mod.rs", "use crate::app;", &["serve/mod.rs imports app"]);
    check("novel/mod.rs", "", &["novel/mod.rs is in no row"]);
}

#[test]
fn a_planted_circle_is_found() {
    #[track_caller]
    fn check(files: &[(&str, &str)], expect: &[&str]) {
        assert_eq!(circles(&planted(files)), expect);
    }
    check(&[("cli/run.rs", "use crate::app;"), ("app.rs", "use crate::model;")], &[]);
    check(&[("app.rs", "use crate::cli;"), ("cli/run.rs", "use crate::app;")], &["app -> cli -> app"]);
    let siblings = [("route/host.rs", "use super::path;"), ("route/path.rs", "use super::host::Host;")];
    check(&siblings, &["route::host -> route::path -> route::host"]);
    check(&[("route/mod.rs", "use host::Host;"), ("route/host.rs", "use super::Table;")], &[]);
}

#[test]
fn a_planted_clock_is_found() {
    let files = planted(&[("health/mod.rs", "let now = Instant::now();"), ("serve/mod.rs", "Instant::now()")]);
    assert_eq!(impure(&files), ["health/mod.rs names Instant::now"]);
}

/// Imports that do not point downwards, and files whose place is not known.
fn misplaced(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources {
        let own = &module_of(path)[0];
        let Some(row) = row(own) else {
            found.push(format!("{path} is in no row"));
            continue;
        };
        let named: BTreeSet<_> =
            modules_named(path, text).into_iter().map(|mut module| module.swap_remove(0)).collect();
        // Names of no row are items of the crate root, or a mistake that the compiler finds.
        for other in named.iter().filter(|other| *other != own) {
            let up = self::row(other).is_some_and(|other_row| other_row >= row);
            if up || across(own, other) || across(other, own) {
                found.push(format!("{path} imports {other}"));
            }
        }
    }
    found
}

/// The number of a module's row, counted from the bottom.
fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

fn across(one: &str, other: &str) -> bool {
    one == CONTROL_PLANE && DATA_PLANE.contains(&other)
}

/// Circles between the modules of the crate, then between the files of one module. A file and the `mod.rs` above it
/// are one thing: the one re-exports what the other has.
fn circles(sources: &Sources) -> Vec<String> {
    let files: BTreeSet<Module> = sources.keys().map(|path| module_of(path)).collect();
    let mut top = BTreeMap::<Module, BTreeSet<Module>>::new();
    let mut inner = top.clone();
    for (path, text) in sources {
        let from = module_of(path);
        for named in modules_named(path, text) {
            if named[0] != from[0] {
                top.entry(from[..1].to_vec()).or_default().insert(named[..1].to_vec());
                continue;
            }
            let file = (1..=named.len()).rev().map(|length| &named[..length]).find(|file| files.contains(*file));
            if let Some(to) = file.filter(|to| !from.starts_with(to) && !to.starts_with(&from)) {
                inner.entry(from.clone()).or_default().insert(to.to_vec());
            }
        }
    }
    [top, inner].iter().flat_map(|edges| edges.keys().filter_map(|start| circle(start, edges))).collect()
}

/// The shortest way from `start` back to it; told only for the first of the modules that lie on it.
fn circle(start: &Module, edges: &BTreeMap<Module, BTreeSet<Module>>) -> Option<String> {
    let mut ways = std::collections::VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in edges.get(way[way.len() - 1]).into_iter().flatten() {
            if next == start {
                let names: Vec<_> = way.iter().chain([&start]).map(|module| module.join("::")).collect();
                return (way.iter().min() == Some(&start)).then(|| names.join(" -> "));
            }
            if seen.insert(next) {
                ways.push_back([&way[..], &[next]].concat());
            }
        }
    }
    None
}

fn impure(sources: &Sources) -> Vec<String> {
    let pure = sources.iter().filter(|(path, _)| PURE.contains(&module_of(path)[0].as_str()));
    let named = pure.flat_map(|(path, text)| {
        let code = imports::code_only(text);
        IMPURE.iter().filter(move |word| code.contains(**word)).map(move |word| format!("{path} names {word}"))
    });
    named.collect()
}

fn planted(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect()
}

/// All Rust files of a folder of the project.
fn sources(folder: &str) -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let root = if root.join("src").is_dir() { root.join("src") } else { root };
    let mut folders = vec![root.clone()];
    let mut sources = Sources::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let path = entry.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                sources.insert(path, std::fs::read_to_string(entry).unwrap());
            }
        }
    }
    assert!(!sources.is_empty(), "{folder} has sources");
    sources
}

fn read(folder: &str, file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(file)).unwrap()
}
