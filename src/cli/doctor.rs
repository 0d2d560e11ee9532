//! `ringferry doctor`: what matters on this machine and what to do about it, for a person or as JSON. What is looked at,
//! and how it is judged, is in `doctor`.

use super::status::{GREEN, PLAIN, RED, YELLOW};
use super::{AdminArg, CONFIG_FILE, DoctorArgs, Exit, say, wants_color};
use crate::doctor::{ConfigFile, Counts, Finding, Level, Report, Running, examine};
use std::fmt::Write;
use std::io;
use std::path::Path;

pub(super) fn doctor(args: DoctorArgs) -> Exit {
    let path = &args.config.file;
    let file = ConfigFile::read(path, Path::new(CONFIG_FILE));
    let admin = args.admin.socket.or_else(|| file.config()?.admin.clone());
    let running = Running::ask(&AdminArg { socket: admin }.path());
    let report = examine(path, &file, &running);
    if args.json {
        say(serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        say(render(&report, wants_color(&io::stdout())).trim_end());
    }
    if report.counts.bad > 0 { Exit::Unwell } else { Exit::Ok }
}

/// What is worst first; below each what is not well, what to do.
fn render(report: &Report, color: bool) -> String {
    let mut out = String::new();
    let width = report.findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    let mut findings: Vec<&Finding> = report.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    for Finding { subject, level, seen, todo } in findings {
        let (word, paint) = match level {
            Level::Bad => ("bad", RED),
            Level::Hint => ("hint", YELLOW),
            Level::Ok => ("ok", GREEN),
        };
        let (paint, plain) = if color { (paint, PLAIN) } else { ("", "") };
        _ = writeln!(out, "{paint}{word:<4}{plain}  {subject:<width$}  {seen}");
        if let Some(todo) = todo {
            _ = writeln!(out, "      {:<width$}  > {todo}", "");
        }
    }
    let Counts { bad, hint, ok } = report.counts;
    _ = writeln!(out, "\n{bad} bad, {hint} hint{}, {ok} ok", if hint == 1 { "" } else { "s" });
    if report.findings.iter().any(|finding| finding.todo.as_ref().is_some_and(|todo| todo.contains("sysctl -w"))) {
        _ = writeln!(out, "What `sysctl -w` sets is gone after a restart; to keep it, write it into {KEPT}");
    }
    out
}

/// Where settings of the kernel are read from at each start.
const KEPT: &str = "/etc/sysctl.d/90-ringferry.conf";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Machine;

    #[test]
    fn what_is_bad_comes_first_with_what_to_do() {
        let finding = |subject, level, seen: &str, todo: Option<&str>| Finding {
            subject,
            level,
            seen: seen.to_owned(),
            todo: todo.map(str::to_owned),
        };
        let report = Report {
            version: "0.1.0",
            machine: Machine::default(),
            counts: Counts { bad: 1, hint: 1, ok: 1 },
            findings: vec![
                finding("kernel", Level::Ok, "Linux 6.12.25+rpt-rpi-v8 on aarch64", None),
                finding("backlog", Level::Hint, "128 connections may wait", Some("sudo sysctl -w a=1")),
                finding("throttling", Level::Bad, "under-voltage now", Some("use another power supply")),
            ],
        };
        let expect = "\
bad   throttling  under-voltage now
                  > use another power supply
hint  backlog     128 connections may wait
                  > sudo sysctl -w a=1
ok    kernel      Linux 6.12.25+rpt-rpi-v8 on aarch64

1 bad, 1 hint, 1 ok
What `sysctl -w` sets is gone after a restart; to keep it, write it into /etc/sysctl.d/90-ringferry.conf
";
        let plain = render(&report, false);
        assert_eq!(plain, expect);
        let colored = render(&report, true);
        assert!(colored.starts_with(&format!("{RED}bad {PLAIN}  throttling")), "{colored:?}");
        assert_eq!([RED, YELLOW, GREEN, PLAIN].iter().fold(colored, |text, code| text.replace(code, "")), plain);
    }
}
