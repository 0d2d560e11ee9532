//! Syntax errors: what the TOML parser found, said in the words of whoever wrote the line.

use super::problem::{Problems, Span};
use toml::de::{DeTable, Error};

/// Parses as much as can be parsed; what cannot is recorded.
pub(super) fn parse<'s>(text: &'s str, problems: &mut Problems) -> DeTable<'s> {
    let (document, mut errors) = DeTable::parse_recoverable(text);
    // The parser reports in passes; the first problem of a line is the cause of the others.
    errors.sort_by_key(start);
    for error in errors {
        let at = error.span().map_or(Span { start: text.len(), end: text.len() }, Span::from);
        let what = error.message().trim_end_matches(", expected literal string");
        let hint = hint(what, problems.line_text(at).trim());
        problems.syntax(at, what.to_owned(), hint);
    }
    document.into_inner()
}

fn start(error: &Error) -> usize {
    error.span().map_or(usize::MAX, |span| span.start)
}

/// What to write instead of a line that another program would have understood.
fn hint(message: &str, line: &str) -> Option<String> {
    let say = |advice: &str| Some(advice.to_owned());
    if message.starts_with("duplicate key") {
        return match line.trim_matches(['[', ']', ' ']) {
            "site" => say("every site is written: [[site]]"),
            _ => say("a key is written once in a table; put several values into a list"),
        };
    }
    if message.starts_with("missing comma") && line.contains('=') {
        return say("or the list or table before it lacks its `]` or `}`");
    }
    if line.ends_with(';') || line.ends_with('{') && !line.contains('=') || line == "}" {
        return say("a line is `key = value`, without a semicolon; a block begins with [[site]] or [table]");
    }
    let pair = |(key, value): (&str, &str)| {
        let (key, value) = (key.trim().trim_start_matches("- "), value.trim());
        let word = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        word.then(|| format!("write: {key} = {}", quoted(value)))
    };
    match line.split_once('=') {
        Some(split) if message.starts_with("string values must be quoted") && !split.1.trim().is_empty() => pair(split),
        Some(_) => None,
        None => line.split_once(':').and_then(pair),
    }
}

/// A value as TOML has it: numbers, booleans and what is in quotes as they are, everything else in quotes.
fn quoted(value: &str) -> String {
    let value = value.split(" #").next().unwrap_or_default().trim();
    let bare = value.trim_matches(['“', '”', '‘', '’', '"', '\'', '`', ';']);
    match bare {
        "" => "…".to_owned(),
        "true" | "yes" | "True" => "true".to_owned(),
        "false" | "no" | "False" => "false".to_owned(),
        _ if bare.bytes().all(|byte| byte.is_ascii_digit()) => bare.to_owned(),
        _ if value.starts_with('[') || value.starts_with('{') => "…".to_owned(),
        _ => format!("{bare:?}"),
    }
}
