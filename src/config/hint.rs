//! What to write instead: of a key that nobody knows, and of a misspelt word. Pure text.

use super::schema::{self, Schema};

/// A key that its table does not have.
#[derive(Debug)]
pub(super) struct Unknown {
    /// What is wrong.
    pub(super) what: String,
    /// What to do.
    pub(super) hint: String,
    /// The key that was meant, as far as that can be told.
    pub(super) meant: Option<&'static str>,
}

/// What to say of the key `key` in a table of kind `schema`.
pub(super) fn unknown_key(key: &str, schema: &Schema) -> Unknown {
    if let Some((_, meanwhile)) = LATER.iter().find(|(word, _)| *word == key) {
        let what = format!("{key:?} is not in this version of Ringferry yet");
        return Unknown { what, hint: (*meanwhile).to_owned(), meant: None };
    }
    let (hint, meant) = instead_of(key, schema);
    Unknown { what: format!("unknown key {key:?} in {}", schema.name), hint, meant }
}

fn instead_of(key: &str, schema: &Schema) -> (String, Option<&'static str>) {
    let foreign =
        FOREIGN.iter().find(|(words, home, _)| words.contains(&key) && home.is_none_or(|home| home == schema.name));
    match foreign {
        Some((_, _, Write(key, value))) => return (format!("write: {key} = {value}"), Some(key)),
        Some((_, _, Say(advice))) => return ((*advice).to_owned(), None),
        None => {}
    }
    if let Some(home) = schema::ALL.iter().find(|home| home.keys.contains(&key)) {
        let place = if home.name == schema::TOP.name { ", before the first [table]" } else { "" };
        return (format!("it belongs to {}{place}", home.name), None);
    }
    match closest(key, schema.keys) {
        Some(word) => (format!("did you mean {word:?}?"), Some(word)),
        None => (format!("known here: {}", schema.keys.join(", ")), None),
    }
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
    ("cache", "remove it: every response is passed on as it arrives"),
    ("compress", "remove it: bodies are passed on as the application sends them"),
    ("health_check", "remove it: servers that fail requests are taken out by `eject_after`"),
];

/// Words of other proxies, the table where they would stand (`None`: any), and what to do here.
const FOREIGN: &[(&[&str], Option<&str>, Instead)] = &[
    (&["path"], Some(schema::SITE.name), Write("route", r#"[{ path = "/", upstream = 3000 }]"#)),
    (&["location", "locations", "handle"], None, Write("route", r#"[{ path = "/", upstream = 3000 }]"#)),
    (&["upstream", "address", "host"], Some(schema::SERVER.name), Write("url", r#""http://127.0.0.1:3000""#)),
    (&["url", "server"], Some(schema::UPSTREAM.name), Write("servers", "[3000, 3001]")),
    (&["server", "servers"], Some(schema::SITE.name), Write("upstream", "[3000, 3001]")),
    (&["server", "servers"], Some(schema::ROUTE.name), Write("upstream", "[3000, 3001]")),
    (&["sites", "server", "servers", "virtualhost", "virtual_host"], None, Say("sites are written: [[site]]")),
    (&["server_name", "hosts", "hostname", "domain", "domains"], None, Write("host", r#""www.example.com""#)),
    (
        &["proxy_pass", "reverse_proxy", "backend", "backends", "target", "url"],
        None,
        Write("upstream", r#""http://127.0.0.1:3000""#),
    ),
    (&["return", "redir"], None, Write("redirect", r#""https://www.example.com""#)),
    (&["lb_policy", "algorithm", "load_balancing"], None, Write("balance", r#""least_conn""#)),
    (&["worker_processes", "workers", "threads"], None, Say("write: cores = 2, before the first [table]")),
    (&["port"], None, Say(r#"write: [listen] http = ":80""#)),
    (&["access_log"], None, Say(r#"write: [log] format = "combined""#)),
    (&["proxy_read_timeout"], None, Say(r#"write: [timeouts] first_byte = "60s""#)),
    (&["proxy_connect_timeout"], None, Say(r#"write: [timeouts] connect = "5s""#)),
    (&["keepalive_timeout"], None, Say(r#"write: [timeouts] idle = "60s""#)),
    (&["rewrite"], None, Say("`strip_prefix = true` removes the path of a route; other rewrites are not supported")),
    (&["root", "file_server"], None, Say("files are not served: run a file server and name it as upstream")),
    (
        &["proxy_set_header", "headers"],
        None,
        Say("not needed: X-Forwarded-For, -Proto, -Host, Forwarded and X-Real-IP are always sent"),
    ),
    (&["limit_req", "rate_limit", "ratelimit", "throttle"], None, Write("rate", r#""10/s""#)),
    (&["allowlist", "whitelist", "ip_allow", "ipallowlist", "ipwhitelist"], None, Write("allow", r#""lan""#)),
    (&["denylist", "blacklist", "blocklist", "ip_deny"], None, Write("deny", r#""192.0.2.0/24""#)),
    (&["limit_conn"], None, Say("write: [limits] connections_per_client = 100")),
    (&["client_max_body_size"], None, Say("not needed: bodies have no limit unless `max_body` sets one")),
    (&["websocket", "websockets"], None, Say("not needed: upgrades work on every route")),
    (&["tls", "ssl"], Some(schema::UPSTREAM.name), Say(HTTPS_TO_SERVER)),
    (&["tls", "ssl"], Some(schema::SERVER.name), Say(HTTPS_TO_SERVER)),
    (&["tls_insecure_skip_verify", "insecure_skip_verify", "proxy_ssl_verify"], None, Write("verify", "false")),
    (&["tls_server_name", "proxy_ssl_name", "servername"], None, Write("sni", r#""app.example.com""#)),
    (&["ssl_certificate", "certificate", "tls_cert"], None, Write("cert", r#""/etc/ssl/www.example.com.pem""#)),
    (&["ssl_certificate_key", "tls_key"], None, Write("key", r#""/etc/ssl/www.example.com.key""#)),
    (&["ssl_client_certificate", "client_auth"], None, Write("client_ca", r#""/etc/ssl/clients.pem""#)),
    (&["ssl"], Some(schema::SITE.name), Say(TLS_OF_SITE)),
    (&["ssl_preread", "ssl_passthrough", "passthrough"], Some(schema::SITE.name), Write("tls", r#""passthrough""#)),
    (&["streams"], None, Say("streams are written: [[stream]]")),
];

const HTTPS_TO_SERVER: &str = "write https:// in front of the server";
const TLS_OF_SITE: &str = "write cert and key, or tls = \"internal\", or tls = \"passthrough\"";

/// What to do instead of a foreign word.
enum Instead {
    /// A key and its value to write in the same table.
    Write(&'static str, &'static str),
    Say(&'static str),
}
use Instead::{Say, Write};

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
