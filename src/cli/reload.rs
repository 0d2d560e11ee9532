//! `ringferry reload`: makes a running process read its configuration again.

use super::ask::{ask, unfit};
use super::upgrade::{hand_over, started};
use super::{Exit, ReloadArgs, complain, say};
use crate::control::{Answer, Request, running_program};
use std::path::Path;

pub(super) fn reload(admin: &Path, args: &ReloadArgs) -> Exit {
    if args.or_upgrade {
        match started(admin) {
            Ok(start) if start.program != running_program() => return hand_over(admin, &start),
            Ok(_) => {}
            Err(exit) => return exit,
        }
    }
    reload_it(admin, args.dry_run, args.json)
}

fn reload_it(admin: &Path, dry_run: bool, json: bool) -> Exit {
    let answer = match ask(admin, Request::Reload { dry_run }) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    if json && let Ok(text) = serde_json::to_string(&answer) {
        say(text);
    }
    match answer {
        Answer::Reloaded { generation, dry_run, warnings } => {
            if !json {
                warnings.iter().for_each(complain);
                say(told(generation, dry_run));
            }
            Exit::Ok
        }
        Answer::Error { message } => {
            if !json {
                complain(format_args!("not reloaded, nothing has changed\n{message}"));
            }
            Exit::Configuration
        }
        _ => unfit(),
    }
}

fn told(generation: u64, dry_run: bool) -> String {
    if dry_run {
        format!("the configuration is good; a reload would make it snapshot {generation}")
    } else {
        format!("reloaded, snapshot {generation}")
    }
}
