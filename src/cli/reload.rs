//! `ringferry reload`: makes a running process read its configuration again.

use super::ask::{Unanswered, ask};
use super::{Exit, complain, say};
use crate::control::{Answer, Request};
use std::path::Path;

pub(super) fn reload(admin: &Path, dry_run: bool, json: bool) -> Exit {
    let answer = match ask(admin, Request::Reload { dry_run }) {
        Ok(answer) => answer,
        Err(Unanswered { exit, message }) => {
            complain(message);
            return exit;
        }
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
        Answer::Status(_) | Answer::Pong { .. } => {
            complain("the answer does not fit the question");
            Exit::NotRunning
        }
    }
}

fn told(generation: u64, dry_run: bool) -> String {
    if dry_run {
        format!("the configuration is good; a reload would make it snapshot {generation}")
    } else {
        format!("reloaded, snapshot {generation}")
    }
}
