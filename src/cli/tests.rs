//! What can be typed, and what it means.

use super::*;
use crate::{config, demo};
use clap::CommandFactory;
use clap::error::ErrorKind;

#[track_caller]
fn check(line: &str, expect: &str) {
    let got = match Cli::try_parse_from(line.split_whitespace()) {
        Ok(cli) => format!("{:?}", cli.verb),
        Err(error) => format!("{:?} {}", error.kind(), error.exit_code()),
    };
    assert!(got.contains(expect), "{line}\n  gives {got}\n  wants {expect}");
}

#[test]
fn the_definitions_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn files_and_sockets_have_defaults() {
    check(
        "ringferry run",
        r#"file: "/etc/ringferry/ringferry.toml" }, cores: None, kernel: KernelArg { choice: None }, "#,
    );
    check("ringferry run", "admin: AdminArg { socket: None }, quiet: false");
    check("ringferry check", r#"file: "/etc/ringferry/ringferry.toml" }, strict: false, json: false"#);
    check("ringferry demo", "port: 8080, https_port: 8443, kernel: KernelArg { choice: None }, admin: None");
    check(
        "ringferry proxy --from :80 --to 3000",
        r#"from: ":80", to: "3000", host: "*", kernel: KernelArg { choice: None }, admin: None"#,
    );
}

#[test]
fn every_verb_takes_its_options() {
    check(
        "ringferry run -c a.toml --cores 2 --kernel epoll --admin /x --quiet",
        r#"cores: Some(Count(2)), kernel: KernelArg { choice: Some(Epoll) }, admin: AdminArg { socket: Some("/x") }, "#,
    );
    check("ringferry run --quiet", "quiet: true");
    check("ringferry proxy --from :80 --to 3000 --kernel uring", "kernel: KernelArg { choice: Some(Uring) }");
    check("ringferry demo --kernel auto", "kernel: KernelArg { choice: Some(Auto) }");
    check("ringferry check --config a.toml --strict --json", r#"file: "a.toml" }, strict: true, json: true"#);
    check("ringferry explain http://a/ -c a.toml --json", r#"url: "http://a/""#);
    check(
        "ringferry cert -c a.toml --json",
        r#"verb: None, list: CertListArgs { config: ConfigArg { file: "a.toml" }, json: true }"#,
    );
    check(
        "ringferry cert list -c a.toml",
        r#"verb: Some(List(CertListArgs { config: ConfigArg { file: "a.toml" }, json: false }))"#,
    );
    check("ringferry cert ca --json", "verb: Some(Ca(CertCaArgs");
    check("ringferry status --admin /x --json", r#"socket: Some("/x") }, json: true"#);
    check("ringferry reload --dry-run --json", "dry_run: true");
    check(
        "ringferry doctor -c a.toml --admin /x --json",
        r#"file: "a.toml" }, admin: AdminArg { socket: Some("/x") }, json: true"#,
    );
    check(
        "ringferry doctor",
        r#"file: "/etc/ringferry/ringferry.toml" }, admin: AdminArg { socket: None }, json: false"#,
    );
    check("ringferry version", "Version");
}

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    check("ringferry", "DisplayHelpOnMissingArgumentOrSubcommand 2");
    check("ringferry serve", "InvalidSubcommand 2");
    check("ringferry run --cores 0", "ValueValidation 2");
    check("ringferry run --cores two", "ValueValidation 2");
    check("ringferry run --kernel io_uring", "ValueValidation 2");
    check("ringferry proxy --from :80", "MissingRequiredArgument 2");
    check("ringferry explain", "MissingRequiredArgument 2");
    check("ringferry cert --json ca", "ArgumentConflict 2");
    check("ringferry cert key", "InvalidSubcommand 2");
    check("ringferry demo --port 70000", "ValueValidation 2");
}

#[test]
fn every_configuration_that_we_show_is_a_good_one() {
    #[track_caller]
    fn check(text: &str, sites: usize) {
        let loaded = config::load(text, "shown.toml");
        assert_eq!(loaded.problems, [], "{text}");
        assert_eq!(loaded.config.map(|config| config.sites.len()), Some(sites), "{text}");
    }
    let readme = include_str!("../../README.md");
    let blocks: Vec<_> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 1);
    check(blocks[0], 4);

    let at = |port| ([127, 0, 0, 1], port).into();
    let sites = demo::DemoSites { blog: at(3001), files: at(3002), chat: at(3003) };
    for ipv6 in [true, false] {
        let port = |number| demo::Port { number, ipv6 };
        check(&demo::config_text(port(8080), None, &sites), 4);
        check(&demo::config_text(port(8080), Some(port(8443)), &sites), 7);
    }

    check(&proxy::config_text(":8080", "3000", "*"), 1);
    check(&proxy::config_text(":80", "app.lan:8123", "home.example.com"), 1);
    check(&proxy::config_text("127.0.0.1:8080", "unix:/run/app.sock", "*"), 1);
}

#[test]
fn help_is_an_answer_and_no_error() {
    for verb in
        ["", "run", "check", "explain", "cert", "status", "reload", "upgrade", "doctor", "proxy", "demo", "version"]
    {
        let error = Cli::try_parse_from(["ringferry", verb, "--help"].into_iter().filter(|word| !word.is_empty()));
        assert_eq!(error.map(|_| ()).map_err(|error| error.kind()), Err(ErrorKind::DisplayHelp), "{verb}");
    }
}

#[test]
fn exit_codes_are_a_promise_to_scripts() {
    let codes = [
        (Exit::Ok, 0),
        (Exit::Configuration, 1),
        (Exit::Unwell, 1),
        (Exit::Usage, 2),
        (Exit::Warnings, 2),
        (Exit::BindOrPermission, 3),
        (Exit::NotRunning, 4),
    ];
    for (exit, code) in codes {
        assert_eq!(exit.code(), code, "{exit:?}");
    }
}
