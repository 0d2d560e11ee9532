//! Which tables a configuration has and which keys each of them takes. What a key means is in
//! `raw` and in the file of its table.

/// One kind of table.
#[derive(Debug)]
pub(super) struct Schema {
    /// What problems call it.
    pub(super) name: &'static str,
    /// Every key that it takes.
    pub(super) keys: &'static [&'static str],
}

pub(super) const TOP: Schema = Schema {
    name: "the top table",
    keys: &[
        "cores",
        "kernel",
        "admin",
        "trusted_proxies",
        "via",
        "drain_timeout",
        "state",
        "kernel_tls",
        "listen",
        "resources",
        "limits",
        "timeouts",
        "log",
        "privileges",
        "site",
        "stream",
    ],
};
pub(super) const LISTEN: Schema = Schema { name: "[listen]", keys: &["http", "https"] };
pub(super) const LISTENER: Schema = Schema { name: "an address", keys: &["address", "proxy_protocol", "from"] };
pub(super) const RESOURCES: Schema = Schema { name: "[resources]", keys: &["memory"] };
pub(super) const LIMITS: Schema = Schema {
    name: "[limits]",
    keys: &[
        "head_bytes",
        "header_count",
        "connections",
        "connections_per_client",
        "requests",
        "requests_per_client",
        "idle_per_server",
    ],
};
pub(super) const TIMEOUTS: Schema = Schema {
    name: "[timeouts]",
    keys: &["head", "idle", "body_idle", "tunnel_idle", "connect", "first_byte", "upstream_idle"],
};
pub(super) const LOG: Schema = Schema { name: "[log]", keys: &["format"] };
pub(super) const PRIVILEGES: Schema =
    Schema { name: "[privileges]", keys: &["user", "no_new_privs", "landlock", "restrict_rings", "seccomp"] };
pub(super) const SITE: Schema = Schema {
    name: "[[site]]",
    keys: &[
        "host",
        "listen",
        "tls",
        "cert",
        "key",
        "client_ca",
        "hsts",
        "route",
        "upstream",
        "redirect",
        "strip_prefix",
        "max_body",
        "request_id",
        "allow",
        "deny",
        "rate",
    ],
};
pub(super) const HSTS: Schema = Schema { name: "hsts", keys: &["max_age", "include_subdomains", "preload"] };
pub(super) const ROUTE: Schema = Schema {
    name: "a route",
    keys: &["path", "upstream", "redirect", "strip_prefix", "max_body", "request_id", "allow", "deny", "rate"],
};
pub(super) const RATE: Schema = Schema { name: "rate", keys: &["requests", "burst"] };
pub(super) const REDIRECT: Schema = Schema { name: "redirect", keys: &["to", "status"] };
pub(super) const UPSTREAM: Schema = Schema {
    name: "upstream",
    keys: &[
        "servers",
        "balance",
        "hold",
        "queue",
        "max_connections",
        "eject_after",
        "eject_for",
        "eject_max",
        "verify",
        "ca",
        "sni",
        "send_proxy_protocol",
    ],
};
pub(super) const SERVER: Schema =
    Schema { name: "a server", keys: &["url", "weight", "backup", "max_connections", "verify", "ca", "sni"] };
pub(super) const BALANCE: Schema = Schema { name: "balance", keys: &["header", "cookie"] };
pub(super) const STREAM: Schema = Schema {
    name: "[[stream]]",
    keys: &["listen", "upstream", "idle", "udp_idle", "max_connections", "allow", "deny"],
};

/// All of them: where a key that was written in the wrong table may belong.
pub(super) const ALL: &[&Schema] = &[
    &TOP,
    &LISTEN,
    &LISTENER,
    &RESOURCES,
    &LIMITS,
    &TIMEOUTS,
    &LOG,
    &PRIVILEGES,
    &SITE,
    &HSTS,
    &ROUTE,
    &RATE,
    &REDIRECT,
    &UPSTREAM,
    &SERVER,
    &BALANCE,
    &STREAM,
];
