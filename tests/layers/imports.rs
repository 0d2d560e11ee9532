//! Which modules a source file names. Knows just enough of Rust's spelling for that: comments, literals, paths and
//! the braces of `use`.

/// A module by the names from the crate root down to it.
pub(super) type Module = Vec<String>;

/// `serve/relay.rs` → `serve::relay`; `serve/mod.rs` → `serve`.
pub(super) fn module_of(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    path.strip_suffix("/mod").unwrap_or(path).split('/').map(str::to_owned).collect()
}

/// What a file names by paths that begin with `crate`, climb with `super`, or enter the library from the program.
/// An inline module (`mod tests { … }`) counts as the file itself.
pub(super) fn modules_named(path: &str, text: &str) -> Vec<Module> {
    let own = module_of(path);
    let code = code_only(text);
    let tokens = tokens(&code);
    let mut named = Vec::new();
    for (at, &token) in tokens.iter().enumerate() {
        let begins = tokens.get(at + 1) == Some(&"::") && (at == 0 || tokens[at - 1] != "::");
        if begins && matches!(token, "crate" | "super" | "ringferry") {
            tree(&tokens[at..], &own, &mut named);
        }
    }
    named.retain(|module| !module.is_empty());
    named
}

/// Follows one path, with all branches of its braces, from `from` on; returns how many tokens it took.
fn tree(tokens: &[&str], from: &[String], named: &mut Vec<Module>) -> usize {
    let mut module = from.to_vec();
    let mut at = 0;
    while let Some(&token) = tokens.get(at) {
        match token {
            "crate" | "ringferry" => module.clear(),
            "super" => drop(module.pop()),
            "self" => {}
            "{" => {
                while tokens.get(at).is_some_and(|&token| token != "}") {
                    // A branch begins here; what else comes, `as other`, names nothing.
                    let begins = matches!(tokens[at], "{" | ",");
                    at += 1;
                    if begins && tokens.get(at).is_some_and(|&token| token != "}") {
                        at += tree(&tokens[at..], &module, named);
                    }
                }
                return at + 1;
            }
            name => module.push(name.to_owned()),
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    named.push(module);
    at
}

/// Words, `::`, and every other sign by itself.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            ':' if rest.starts_with("::") => 2,
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// The text with comments and literals left out.
pub(super) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skip = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => quoted(rest),
            'r' if rest.starts_with("r#\"") => rest.find("\"#").map_or(rest.len(), |end| end + 2),
            // A character, unless it is a lifetime.
            '\'' if rest.starts_with("'\\") => rest[2..].find('\'').map_or(rest.len(), |end| end + 3),
            '\'' if rest.chars().nth(2) == Some('\'') => rest.char_indices().nth(3).map_or(rest.len(), |(at, _)| at),
            _ => 0,
        };
        if skip == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skip..];
        }
    }
    code
}

/// The length of the string literal that `text` begins with.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|&(_, c)| {
        let end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        end
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

#[test]
fn paths_of_every_spelling_are_seen() {
    #[track_caller]
    fn check(path: &str, text: &str, expect: &[&str]) {
        let named: Vec<_> = modules_named(path, text).iter().map(|module| module.join("::")).collect();
        assert_eq!(named, expect);
    }
    check("a.rs", "use crate::b::C;", &["b::C"]);
    check("a.rs", "pub(crate) use crate::{b, c::{D, e::F}, g};", &["b", "c::D", "c::e::F", "g"]);
    check("a/x.rs", "use super::y::Z; use super::super::b;", &["a::y::Z", "b"]);
    check("a/mod.rs", "use super::b; use super::{self, c};", &["b", "c"]);
    check("main.rs", "ringferry::cli::main()", &["cli::main"]);
    check("a.rs", "use crate::{b as x, c as y}; fn f(x: &crate::d::T<'_>) {}", &["b", "c", "d::T"]);
    check("a.rs", "/* crate::b */ // crate::c\nlet s = \"\\\"crate::d\"; let c = '\"'; crate::e::f();", &["e::f"]);
    check("a.rs", "let s = r#\"crate::d \" \"#; use othercrate::b; use std::crate_like::c;", &[]);
}
