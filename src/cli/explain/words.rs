//! What is done with a request or a connection, in words: one line each.

use crate::cli::status::span;
use crate::model::{
    Action, Balance, CertificateSource, Config, HashKey, Listener, Pool, PoolId, ProxyVersion, Route, Server, Site,
    SiteTls, Termination, Trust,
};

/// What is done with a request of this route.
pub(super) fn actions(config: &Config, route: &Route) -> Vec<String> {
    let mut lines = Vec::new();
    if route.strip_prefix {
        lines.push(format!("cuts {0} off the path, says so in X-Forwarded-Prefix: {0}", route.path));
    }
    if let Some(bytes) = route.max_body {
        lines.push(format!("refuses request bodies of more than {bytes} bytes (413)"));
    }
    lines.push(match &route.action {
        Action::Proxy(pool) => format!("forwards to {}", servers(config, *pool)),
        Action::Redirect(to) => {
            let rest = if to.keep_path { " and the path and query asked for" } else { "" };
            format!("redirects to {}{rest} ({})", to.to, to.status)
        }
    });
    lines
}

/// How a site ends TLS.
pub(super) fn tls(site: &Site) -> Vec<String> {
    let Some(SiteTls::Terminate(Termination { certificates, client_ca })) = &site.tls else { return Vec::new() };
    let sources: Vec<_> = certificates.iter().map(certificate).collect();
    let mut lines = vec![format!("ends TLS with {}", sources.join(", or "))];
    if let Some(path) = client_ca {
        lines.push(format!("lets in clients with a certificate of {} alone", path.display()));
    }
    if let Some(hsts) = &site.hsts {
        let below = if hsts.include_subdomains { ", and to the hosts below it" } else { "" };
        lines.push(format!("tells browsers to come by TLS alone{below}, for {}", span(millis(hsts.max_age))));
    }
    lines
}

fn certificate(source: &CertificateSource) -> String {
    match source {
        CertificateSource::Files { cert, .. } => format!("the certificate in {}", cert.display()),
        CertificateSource::Folder(path) => format!("those certificates in {} that have its names", path.display()),
        CertificateSource::Internal => "a certificate of our own authority (`ringferry cert ca`)".to_owned(),
    }
}

/// How a site passes TLS through.
pub(super) fn passed_through(config: &Config, site: &Site) -> Vec<String> {
    let pool = site.route_ids().find_map(|route| match config.routes[route.index()].action {
        Action::Proxy(pool) => Some(pool),
        Action::Redirect(_) => None,
    });
    let Some(pool) = pool else { return Vec::new() };
    let mut lines = vec![format!("passes TLS through, unread, to {}", servers(config, pool))];
    lines.extend(introduction(&config.pools[pool.index()]));
    lines
}

/// What is put in front of what is passed on.
pub(super) fn introduction(pool: &Pool) -> Option<String> {
    let version = match pool.send_proxy_protocol? {
        ProxyVersion::V1 => "1",
        ProxyVersion::V2 => "2",
    };
    Some(format!("tells the server who the client is: a PROXY header of version {version}"))
}

/// What has to come first on a connection.
pub(super) fn proxy_header(listener: &Listener) -> Option<String> {
    let peers = listener.proxy_protocol.as_ref()?;
    let peers: Vec<_> = peers.iter().map(|set| format!("{}/{}", set.address, set.prefix_len)).collect();
    Some(format!("takes connections from {} alone, each with a PROXY header in front", peers.join(", ")))
}

/// The servers of a pool, and how one is chosen.
pub(super) fn servers(config: &Config, pool: PoolId) -> String {
    let pool = &config.pools[pool.index()];
    let servers: Vec<_> = pool.servers.iter().map(server).collect();
    match &servers[..] {
        [only] => only.clone(),
        several => format!("one of {}, chosen by {}", several.join(", "), balance(&pool.balance)),
    }
}

fn server(server: &Server) -> String {
    let (scheme, unverified) = match &server.tls {
        None => ("", ""),
        Some(tls) if tls.trust == Trust::Anyone => ("https://", " (not verified)"),
        Some(_) => ("https://", ""),
    };
    let weight = if server.weight == 1 { String::new() } else { format!(" (weight {})", server.weight) };
    let backup = if server.backup { " (backup)" } else { "" };
    format!("{scheme}{}{unverified}{weight}{backup}", server.address)
}

fn balance(balance: &Balance) -> String {
    match balance {
        Balance::RoundRobin => "round_robin".into(),
        Balance::LeastConn => "least_conn".into(),
        Balance::TwoChoices => "two_choices".into(),
        Balance::Hash(HashKey::ClientIp) => "ip_hash".into(),
        Balance::Hash(HashKey::Header(name)) => format!("a hash of the header {name}"),
        Balance::Hash(HashKey::Cookie(name)) => format!("a hash of the cookie {name}"),
    }
}

pub(super) fn millis(time: std::time::Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}
