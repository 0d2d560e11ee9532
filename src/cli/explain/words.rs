//! What is done with a request or a connection, in words: one line each.

use crate::cli::status::span;
use crate::model::{
    Access, Action, Balance, CertificateSource, Cidr, Config, HashKey, Listener, Pool, PoolId, ProxyVersion, Rate,
    Route, Server, Site, SiteTls, Termination, Trust,
};

/// What is done with a request of this route.
pub(super) fn actions(config: &Config, route: &Route) -> Vec<String> {
    let mut lines = access(Some(&route.access));
    lines.extend(route.rate.as_ref().map(rate));
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

/// Who may come, and who may not.
pub(super) fn access(access: Option<&Access>) -> Vec<String> {
    let Some(Access { allow, deny }) = access else { return Vec::new() };
    let allowed = allow.as_ref().map(|allow| format!("lets in {} alone", sets(allow)));
    let denied = (!deny.is_empty()).then(|| format!("turns away {}", sets(deny)));
    allowed.into_iter().chain(denied).collect()
}

fn sets(sets: &[Cidr]) -> String {
    let sets: Vec<_> = sets.iter().map(Cidr::to_string).collect();
    sets.join(", ")
}

/// How often each client may come.
fn rate(rate: &Rate) -> String {
    let Rate { requests, per, burst, .. } = rate;
    let per = match per.as_secs() {
        1 => "a second",
        60 => "a minute",
        _ => "an hour",
    };
    format!("takes {requests} requests {per} of each client, {burst} at once; beyond that it answers 429")
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
    let mut lines = access(Some(&site.access));
    lines.push(format!("passes TLS through, unread, to {}", servers(config, pool)));
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
    Some(format!("takes connections from {} alone, each with a PROXY header in front", sets(peers)))
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
