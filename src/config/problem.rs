//! Problems with a configuration: where, what, and what to write instead. Knows positions and how a problem looks;
//! knows nothing of keys and values.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

/// Something wrong, or doubtful, at one place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it keeps the configuration from being used.
    pub severity: Severity,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to do about it, a sentence or lines to write.
    pub hint: Option<String>,
    /// The line that it is about, cut around the place when it is long.
    pub line_text: String,
    /// Which characters of `line_text` it is about.
    pub marked: Range<usize>,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but hardly does what was meant.
    Warning,
}

impl Problem {
    /// The problem as lines for a terminal or a log, without a newline at the end.
    pub fn render(&self, file: &str, color: bool) -> String {
        let (word, paint) = match self.severity {
            Severity::Error => ("error", "\x1b[1;31m"),
            Severity::Warning => ("warning", "\x1b[1;33m"),
        };
        let (paint, plain) = if color { (paint, "\x1b[0m") } else { ("", "") };
        let mut out = format!("{file}:{}:{}: {paint}{word}{plain}: {}", self.line, self.column, self.what);
        if !self.line_text.is_empty() {
            let (before, carets) = (self.marked.start, "^".repeat(self.marked.len()));
            let _ = write!(out, "\n    {}\n    {:before$}{paint}{carets}{plain}", self.line_text, "");
        }
        for line in self.hint.iter().flat_map(|hint| hint.lines()) {
            let _ = write!(out, "\n    {line}");
        }
        out
    }
}

/// A stretch of the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    /// Of what nobody wrote: a default.
    pub(super) const NOWHERE: Span = Span { start: 0, end: 0 };
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Span { start: range.start, end: range.end }
    }
}

/// A value and the place where it was written.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Span,
}

/// Collects the problems of one file.
pub(super) struct Problems<'s> {
    text: &'s str,
    file: &'s str,
    line_starts: Vec<usize>,
    /// Lines with a syntax error: what the parser recovered from them means nothing.
    broken_lines: BTreeSet<usize>,
    list: Vec<Problem>,
}

impl<'s> Problems<'s> {
    pub(super) fn new(text: &'s str, file: &'s str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Problems { text, file, line_starts, broken_lines: BTreeSet::new(), list: Vec::new() }
    }

    /// A syntax error. One a line: what follows on the same line is its echo. A header that is broken leaves the lines
    /// below it in a table that nobody meant.
    pub(super) fn syntax(&mut self, at: Span, what: String, hint: Option<String>) {
        let first = self.line_of(at.start);
        if !self.broken_lines.insert(first) {
            return;
        }
        self.push(Severity::Error, at, what, hint);
        if self.line_text(at).trim_start().starts_with('[') {
            let below = self.line_starts[first + 1..].iter().take_while(|start| !self.text[**start..].starts_with('['));
            self.broken_lines.extend(first + 1..=first + below.count());
        }
    }

    pub(super) fn error(&mut self, at: Span, what: impl Into<String>, hint: impl Into<String>) {
        self.meaning(Severity::Error, at, what.into(), hint.into());
    }

    pub(super) fn warning(&mut self, at: Span, what: impl Into<String>, hint: impl Into<String>) {
        self.meaning(Severity::Warning, at, what.into(), hint.into());
    }

    /// Something that should be there is not. After a syntax error it may only have been lost.
    pub(super) fn missing(&mut self, at: Span, what: impl Into<String>, hint: impl Into<String>) {
        if self.broken_lines.is_empty() {
            self.error(at, what, hint);
        }
    }

    /// Something that should be anywhere in the file is not.
    pub(super) fn missing_at_end(&mut self, what: &str, hint: &str) {
        let end = self.text.len();
        self.missing(Span { start: end, end }, what, hint);
    }

    /// `ringferry.toml:12:3`, to name another place in a problem.
    pub(super) fn place(&self, at: Span) -> String {
        if at == Span::NOWHERE {
            return "the default".to_owned();
        }
        format!("{}:{}:{}", self.file, self.line_of(at.start) + 1, self.chars_before(at) + 1)
    }

    /// The line that `at` begins in, as written.
    pub(super) fn line_text(&self, at: Span) -> &'s str {
        let rest = &self.text[self.line_starts[self.line_of(at.start)]..];
        rest.lines().next().unwrap_or_default()
    }

    pub(super) fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All of them, in file order.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        self.list.sort_by_key(|problem| (problem.line, problem.column));
        self.list
    }

    /// An empty hint is none.
    fn meaning(&mut self, severity: Severity, at: Span, what: String, hint: String) {
        if !self.broken_lines.contains(&self.line_of(at.start)) {
            self.push(severity, at, what, Some(hint).filter(|hint| !hint.is_empty()));
        }
    }

    fn push(&mut self, severity: Severity, at: Span, what: String, hint: Option<String>) {
        let from = self.chars_before(at);
        let length = self.text[at.start..at.end].lines().next().unwrap_or_default().chars().count();
        let (line_text, marked) = excerpt(self.line_text(at), from, length);
        let line = self.line_of(at.start) + 1;
        self.list.push(Problem { severity, line, column: from + 1, what, hint, line_text, marked });
    }

    /// Characters of the line before `at`.
    fn chars_before(&self, at: Span) -> usize {
        self.text[self.line_starts[self.line_of(at.start)]..at.start].chars().count()
    }

    /// Index of the line that byte `at` belongs to.
    fn line_of(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at) - 1
    }
}

/// The part of `line` to show, and which of its characters to mark. Control characters, tabs too, become spaces: the
/// mark stays below its place, and a file cannot write to the terminal.
fn excerpt(line: &str, from: usize, length: usize) -> (String, Range<usize>) {
    let cut = if from + length <= EXCERPT_CHARS { 0 } else { from.saturating_sub(EXCERPT_BEFORE) };
    let shown = line.chars().skip(cut).take(EXCERPT_CHARS).map(|c| if c.is_control() { ' ' } else { c });
    let shown: String = shown.collect();
    let start = from - cut;
    let end = (start + length).min(shown.trim_end().chars().count()).max(start + 1);
    (shown.trim_end().to_owned(), start..end)
}

/// Characters of a line that a terminal shows without wrapping it much.
const EXCERPT_CHARS: usize = 160;
/// Characters kept before the place in a line that is longer.
const EXCERPT_BEFORE: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, from: usize, length: usize, expect: (&str, Range<usize>)) {
        let (shown, marked) = excerpt(line, from, length);
        assert_eq!((shown.as_str(), marked), expect);
    }

    #[test]
    fn an_excerpt_marks_at_least_one_character_and_shows_no_controls() {
        check("a = b", 4, 1, ("a = b", 4..5));
        check("a = b", 5, 0, ("a = b", 5..6));
        check("\ta\u{1b}[1m\r", 1, 1, (" a [1m", 1..2));
        check("[[site]]  ", 0, 100, ("[[site]]", 0..8));
        check("", 0, 0, ("", 0..1));
        let long = "x".repeat(1000);
        check(&long, 500, 2, (&long[..160], 40..42));
        check(&long, 10, 900, (&long[..160], 10..160));
    }

    #[test]
    fn color_marks_the_severity_and_the_place() {
        let mut problems = Problems::new("a\nbc d\n", "f");
        problems.warning(Span { start: 2, end: 4 }, "what", "do this\nand that");
        let shown = problems.into_sorted()[0].render("f", true);
        assert_eq!(
            shown,
            "f:2:1: \x1b[1;33mwarning\x1b[0m: what\n    bc d\n    \x1b[1;33m^^\x1b[0m\n    do this\n    and that"
        );
    }
}
