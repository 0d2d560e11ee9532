//! `ringferry proxy`: one application behind a port, without a file.
//!
//! The arguments become a configuration text, which the user sees and which then takes the way of every other one.

use super::boot::serve;
use super::{Exit, ProxyArgs, say, source};
use crate::app::Boot;
use crate::config::{Loaded, load};

pub(super) fn proxy(args: ProxyArgs) -> Exit {
    let text = config_text(&args.from, &args.to, &args.host);
    say(&text);
    let Loaded { config, problems } = load(&text, NAME);
    source::print(&problems, NAME);
    match config {
        Some(config) => {
            let (kernel, admin) = (args.kernel.choice, args.admin);
            serve(Boot { config, file: None, cores: None, kernel, admin, quiet: false })
        }
        // What is wrong with the text was typed as an argument.
        None => Exit::Usage,
    }
}

/// The configuration that `proxy --from … --to … --host …` stands for.
pub(super) fn config_text(from: &str, to: &str, host: &str) -> String {
    let (from, to, host) = (quoted(from), quoted(to), quoted(host));
    format!("[listen]\nhttp = {from}\n\n[[site]]\nhost     = {host}\nupstream = {to}\n")
}

/// A TOML basic string. Whatever was typed stays one value and cannot become a key.
fn quoted(text: &str) -> String {
    let mut value = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => value.extend(['\\', char]),
            char if char.is_control() => value += &format!("\\u{:04X}", u32::from(char)),
            char => value.push(char),
        }
    }
    value + "\""
}

/// What problems call the text.
const NAME: &str = "(arguments)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_a_configuration_to_copy() {
        assert_eq!(
            config_text(":8080", "3000", "*"),
            "[listen]\nhttp = \":8080\"\n\n[[site]]\nhost     = \"*\"\nupstream = \"3000\"\n"
        );
    }

    #[test]
    fn whatever_is_typed_stays_one_value() {
        for odd in ["a\"b", "a\nb = 1", "a\\", "\"\"\"", "\u{7f}\u{0}\u{85}é", ""] {
            let text = format!("value = {}", quoted(odd));
            let table = toml::de::DeTable::parse(&text).expect("valid TOML").into_inner();
            assert_eq!(table.len(), 1);
            assert_eq!(table["value"].get_ref().as_str(), Some(odd));
        }
    }
}
