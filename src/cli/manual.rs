//! The man pages and the completions of the package are files, so that a package can be made of any program. Here they
//! are held against the definitions that they come from.

use super::Cli;
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use std::fs;
use std::path::Path;

/// Set it to write them.
const UPDATE: &str = "UPDATE_MANUAL";

#[test]
fn man_pages_and_completions_say_what_the_command_line_takes() {
    let mut command = Cli::command();
    command.build();
    page(&command, "ringferry");
    for verb in command.get_subcommands() {
        page(verb, &format!("ringferry-{}", verb.get_name()));
    }
    for (shell, name) in [(Shell::Bash, "ringferry"), (Shell::Zsh, "_ringferry"), (Shell::Fish, "ringferry.fish")] {
        let mut text = Vec::new();
        generate(shell, &mut command.clone(), "ringferry", &mut text);
        holds(&format!("completions/{name}"), &text);
    }
}

fn page(command: &Command, name: &str) {
    let mut text = Vec::new();
    let man = clap_mangen::Man::new(command.clone()).title(name).date("").source("").manual("Ringferry");
    man.render(&mut text).unwrap();
    holds(&format!("man/{name}.1"), &text);
}

#[track_caller]
fn holds(file: &str, text: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cross/debian").join(file);
    if std::env::var_os(UPDATE).is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let is_same = fs::read(&path).is_ok_and(|there| there == text);
    assert!(is_same, "cross/debian/{file} is not what the command line says: {UPDATE}=1 cargo test --lib manual");
}
