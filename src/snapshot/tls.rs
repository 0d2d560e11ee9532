//! How the sites of a snapshot end TLS: a server configuration for each site on each listener, and who may be asked for
//! what on which connection.

use crate::model::{Config, Hsts, ListenerId, Protocol, Server, SiteId, Trust};
use crate::tls::{CertStore, CipherOrder, Pair, Policy, PolicyId, SitePairs, server_config};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use std::collections::HashMap;
use std::sync::Arc;

/// What was read for a site: its pairs, and which clients it lets in.
#[derive(Clone, Debug)]
pub struct Material {
    /// The pairs, in any order; without one the site is not served.
    pub pairs: Vec<Arc<Pair>>,
    /// Its client policy; `None` where it could not be made: nobody is let in.
    pub policy: Option<Policy>,
}

/// TLS of a snapshot.
#[derive(Debug, Default)]
pub struct Tls {
    /// By [`ListenerId`].
    listeners: Vec<ListenerTls>,
    /// By [`SiteId`]; `None` for sites that do not end TLS, or cannot.
    sites: Vec<Option<SecureSite>>,
    clients: Clients,
    kernel: bool,
}

/// How servers are reached by TLS, by whom is trusted.
pub type Clients = HashMap<Trust, Arc<ClientConfig>>;

#[derive(Debug, Default)]
struct ListenerTls {
    certs: Arc<CertStore>,
    /// By [`SiteId`].
    configs: Vec<Option<Arc<ServerConfig>>>,
}

#[derive(Debug)]
struct SecureSite {
    policy: PolicyId,
    hsts: Option<Box<str>>,
}

/// The protocols that are spoken inside, the preferred one first.
const ALPN: &[&[u8]] = &[b"http/1.1"];

impl Tls {
    /// Joins what was read for each site, by [`SiteId`], with the listeners that they are on. `now_s` is the time since
    /// 1970: pairs that are good come first. `clients` are for all that the servers of `config` trust. `kernel`: it makes
    /// the records of clients' connections.
    pub fn build(
        config: &Config,
        material: &[Option<Material>],
        clients: Clients,
        order: &CipherOrder,
        kernel: bool,
        now_s: u64,
    ) -> Result<Tls, rustls::Error> {
        let usable = |site: SiteId| {
            let material = material.get(site.index())?.as_ref()?;
            let policy = material.policy.as_ref()?;
            (!material.pairs.is_empty()).then_some((material, policy))
        };
        let ids = || (0..config.sites.len() as u32).map(SiteId);
        let secure = ids().map(|site| {
            let (_, policy) = usable(site)?;
            let hsts = config.sites[site.index()].hsts.as_ref().map(hsts_value);
            Some(SecureSite { policy: policy.id(), hsts })
        });
        let mut tls = Tls { listeners: Vec::new(), sites: secure.collect(), clients, kernel };
        for (id, listener) in (0..).map(ListenerId).zip(&config.listeners) {
            if listener.protocol != Protocol::Https {
                tls.listeners.push(ListenerTls::default());
                continue;
            }
            let here = || ids().filter(|site| config.sites[site.index()].listeners.contains(&id));
            let pairs = here().filter_map(|site| {
                let (material, _) = usable(site)?;
                Some(SitePairs { site, hosts: &config.sites[site.index()].hosts, pairs: material.pairs.clone() })
            });
            // What clients may hold against the pairs is told where they are read.
            let (certs, _) = CertStore::build(pairs, now_s);
            let certs = Arc::new(certs);
            let mut configs = vec![None; config.sites.len()];
            let mut by_policy: HashMap<PolicyId, Arc<ServerConfig>> = HashMap::new();
            for site in here() {
                let Some((_, policy)) = usable(site) else { continue };
                let known = by_policy.get(&policy.id()).cloned();
                let config = known.map_or_else(|| server_config(order, certs.clone(), policy, ALPN, kernel), Ok)?;
                by_policy.insert(policy.id(), config.clone());
                configs[site.index()] = Some(config);
            }
            tls.listeners.push(ListenerTls { certs, configs });
        }
        Ok(tls)
    }

    /// How a site ends TLS on a listener; `None` where it does not.
    pub fn server_config(&self, listener: ListenerId, site: SiteId) -> Option<&Arc<ServerConfig>> {
        self.listeners.get(listener.index())?.configs.get(site.index())?.as_ref()
    }

    /// How a server is reached; never without TLS where that was asked for.
    pub fn reach(&self, server: &Server) -> Reach {
        let Some(tls) = &server.tls else { return Reach::Plain };
        match (self.clients.get(&tls.trust), ServerName::try_from(tls.name.clone())) {
            (Some(config), Ok(name)) => Reach::Tls(config.clone(), name),
            _ => Reach::Never,
        }
    }

    /// Whether the kernel makes the records of clients' connections.
    pub fn is_offloaded(&self) -> bool {
        self.kernel
    }

    /// The client policy of a site that ends TLS.
    pub fn policy(&self, site: SiteId) -> Option<PolicyId> {
        self.secure(site).map(|site| site.policy)
    }

    /// The value of `Strict-Transport-Security`, for sites that want it.
    pub fn hsts(&self, site: SiteId) -> Option<&str> {
        self.secure(site)?.hsts.as_deref()
    }

    /// Whether requests for `site` may come on a connection whose handshake was made for `shaken` under `policy`: both
    /// are the same site, or have a certificate in common (browsers use one connection for both then), and let in the
    /// same clients.
    pub fn may_serve(&self, listener: ListenerId, site: SiteId, shaken: SiteId, policy: PolicyId) -> bool {
        let Some(certs) = self.listeners.get(listener.index()).map(|listener| &listener.certs) else { return false };
        let pairs = certs.pairs(shaken);
        let has = |pair: &Arc<Pair>| pairs.iter().any(|other| other.fingerprint() == pair.fingerprint());
        self.policy(site) == Some(policy) && (site == shaken || certs.pairs(site).iter().any(has))
    }

    fn secure(&self, site: SiteId) -> Option<&SecureSite> {
        self.sites.get(site.index())?.as_ref()
    }
}

fn hsts_value(hsts: &Hsts) -> Box<str> {
    let mut value = format!("max-age={}", hsts.max_age.as_secs());
    if hsts.include_subdomains {
        value += "; includeSubDomains";
    }
    if hsts.preload {
        value += "; preload";
    }
    value.into()
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum Reach {
    /// As it is.
    Plain,
    /// By TLS, with this configuration, if its certificate is for this name.
    Tls(Arc<ClientConfig>, ServerName<'static>),
    /// By TLS, but not with what is configured.
    Never,
}
