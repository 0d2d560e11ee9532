//! What to write instead: of a key that nobody knows, and of a misspelt word. Pure text.

use super::schema::{self, Schema};

/// What is wrong with the key `key` in a table of kind `schema`, and what to do.
pub(super) fn unknown_key(key: &str, schema: &Schema) -> (String, Option<String>) {
    if let Some((_, meanwhile)) = LATER.iter().find(|(word, _)| *word == key) {
        return (format!("{key:?} is not in this version of Ringferry yet"), Some((*meanwhile).to_owned()));
    }
    let what = format!("unknown key {key:?} in {}", schema.name);
    (what, Some(instead_of(key, schema)))
}

fn instead_of(key: &str, schema: &Schema) -> String {
    if let Some((_, _, write)) =
        FOREIGN.iter().find(|(word, home, _)| *word == key && home.is_none_or(|home| home == schema.name))
    {
        return (*write).to_owned();
    }
    if let Some(home) = schema::ALL.iter().find(|home| home.keys.contains(&key)) {
        let place = if home.name == schema::TOP.name { ", before the first [table]" } else { "" };
        return format!("it belongs to {}{place}", home.name);
    }
    did_you_mean(key, schema.keys).unwrap_or_else(|| format!("known here: {}", schema.keys.join(", ")))
}

/// `did you mean "upstream"?`, when one of `words` is close to `word`.
pub(super) fn did_you_mean(word: &str, words: &[&str]) -> Option<String> {
    closest(word, words).map(|word| format!("did you mean {word:?}?"))
}

/// The one of `words` that `word` is a likely slip of.
pub(super) fn closest<'w>(word: &str, words: &[&'w str]) -> Option<&'w str> {
    let letters = word.chars().count();
    if letters > WORD_MAX {
        return None;
    }
    let word = word.to_lowercase();
    let slips_max = (letters / 3).max(1);
    let near =
        words.iter().map(|other| (strsim::osa_distance(&word, other), *other)).filter(|(slips, _)| *slips <= slips_max);
    near.min_by_key(|(slips, _)| *slips).map(|(_, other)| other)
}

/// No key is nearly as long; counting slips takes time by the square.
const WORD_MAX: usize = 40;

/// Words of later versions, and what to do until then.
const LATER: &[(&str, &str)] = &[
    ("tls", PLAIN_ONLY),
    ("cert", PLAIN_ONLY),
    ("key", PLAIN_ONLY),
    ("https", PLAIN_ONLY),
    ("cache", "remove the line: every response is passed on as it arrives"),
    ("compress", "remove the line: bodies are passed on as the application sends them"),
    ("health_check", "remove the line: servers that fail requests are taken out by `eject_after`"),
    ("stream", "remove the table: this version forwards HTTP only"),
    ("resources", "remove the table: [limits] bounds connections and heads"),
    ("proxy_protocol", "remove the line, and let the proxy in front send X-Forwarded-For instead (`trusted_proxies`)"),
];
const PLAIN_ONLY: &str = "remove the line: this version serves plain HTTP, put it behind what terminates TLS";

/// Words of other proxies, the table where they would stand (`None`: any), and what to write here.
const FOREIGN: &[(&str, Option<&str>, &str)] = &[
    ("path", Some(schema::SITE.name), "a path belongs to a route, write: route = [{ path = \"/\", upstream = 3000 }]"),
    ("url", Some(schema::UPSTREAM.name), "write: servers = [{ url = \"http://127.0.0.1:3000\" }]"),
    ("url", None, UPSTREAM),
    ("site", None, "write [[site]] on a line of its own, at the left margin"),
    ("sites", None, SITE),
    ("server", Some(schema::UPSTREAM.name), "write: servers = [3000, 3001]"),
    ("server", None, SITE),
    ("servers", Some(schema::TOP.name), SITE),
    ("virtualhost", None, SITE),
    ("server_name", None, HOST),
    ("hosts", None, HOST),
    ("hostname", None, HOST),
    ("domain", None, HOST),
    ("domains", None, HOST),
    ("proxy_pass", None, UPSTREAM),
    ("reverse_proxy", None, UPSTREAM),
    ("backend", None, UPSTREAM),
    ("backends", None, UPSTREAM),
    ("target", None, UPSTREAM),
    ("location", None, "write: route = [{ path = \"/\", upstream = 3000 }]"),
    ("return", None, "write: redirect = \"https://example.com\""),
    ("rewrite", None, "a path prefix is removed by `strip_prefix = true`; other rewrites are not supported"),
    ("root", None, "files are not served: run a file server and name it as upstream"),
    ("proxy_set_header", None, "not needed: X-Forwarded-For, -Proto, -Host, Forwarded and X-Real-IP are always sent"),
    ("client_max_body_size", None, "not needed: bodies have no limit unless `max_body` sets one"),
    ("proxy_read_timeout", None, "write: [timeouts] first_byte = \"60s\""),
    ("proxy_connect_timeout", None, "write: [timeouts] connect = \"5s\""),
    ("keepalive_timeout", None, "write: [timeouts] idle = \"60s\""),
    ("websocket", None, "not needed: upgrades work on every route"),
    ("port", None, "write: [listen] http = \":80\""),
    ("worker_processes", None, "write: cores = 2, before the first [table]"),
    ("workers", None, "write: cores = 2, before the first [table]"),
    ("threads", None, "write: cores = 2, before the first [table]"),
    ("access_log", None, "write: [log] format = \"combined\""),
    ("lb_policy", None, "write: balance = \"least_conn\""),
    ("algorithm", None, "write: balance = \"least_conn\""),
    ("ssl_certificate", None, PLAIN_ONLY),
    ("ssl", None, PLAIN_ONLY),
];
const SITE: &str = "sites are written: [[site]]";
const HOST: &str = "write: host = \"www.example.com\"";
const UPSTREAM: &str = "write: upstream = \"http://127.0.0.1:3000\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expect: Option<&str>) {
        assert_eq!(closest(word, &["upstream", "host", "route", "via"]), expect);
    }

    #[test]
    fn a_slip_finds_the_word_that_was_meant() {
        check("upstrem", Some("upstream"));
        check("upstraem", Some("upstream"));
        check("Upstreams", Some("upstream"));
        check("hsot", Some("host"));
        check("routes", Some("route"));
        check("vi", Some("via"));
        check("root", None);
        check("zzz", None);
        check("", None);
        check(&"upstream".repeat(1000), None);
    }
}
