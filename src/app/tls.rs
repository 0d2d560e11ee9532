//! TLS of a snapshot: what was read and issued for its sites, ticket keys that outlive reloads, and whom to believe when
//! servers are reached by it.

use super::certificates::{Certificates, Finding, terminations};
use super::disk;
use crate::config::Severity;
use crate::control::{CertificateStatus, TlsStatus};
use crate::model::{Config, SiteId, Trust};
use crate::snapshot::{Clients, Material, Tls};
use crate::tls::{CipherOrder, Fault, Keyring, Pair, Seed, Trusted, cipher_order, client_config, has_aes, roots};
use ringferry_runtime::net::records_available;
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// What outlives a snapshot.
pub(super) struct Secrets {
    order: CipherOrder,
    keyring: Keyring,
    /// Those of the snapshot in force: what a reload cannot read stays.
    certificates: Certificates,
    clients: HashMap<Trust, Client>,
}

/// How servers are reached that one trust is for.
#[derive(Clone)]
struct Client {
    /// What it was made from: while that stays, so do the sessions that can be resumed.
    roots: Vec<u8>,
    config: Arc<ClientConfig>,
}

/// TLS for a snapshot that is not in force yet.
pub(super) struct Prepared {
    pub(super) tls: Tls,
    /// What is wrong with it, as text.
    pub(super) warnings: Vec<String>,
    pub(super) kept: Kept,
}

/// See [`Secrets::keep`].
pub(super) struct Kept {
    certificates: Certificates,
    clients: HashMap<Trust, Client>,
}

impl Kept {
    /// What `status` tells of it.
    pub(super) fn status(&self, config: &Config) -> Vec<TlsStatus> {
        let certificate = |pair: &Arc<Pair>| CertificateStatus {
            origin: pair.origin().to_owned(),
            key: pair.kind().to_string(),
            valid_until_unix_s: *pair.validity_s().end(),
        };
        let sites = terminations(config).filter_map(|(id, site, _)| {
            let found = self.certificates.site(id)?;
            let certificates = found.pairs().iter().map(certificate).collect();
            Some(TlsStatus { site: site.name.clone(), serves: found.serves(), certificates })
        });
        sites.collect()
    }
}

/// The protocols that are spoken with servers, the preferred one first.
const ALPN: &[&[u8]] = &[b"http/1.1"];

impl Secrets {
    pub(super) fn new() -> Secrets {
        Secrets {
            order: cipher_order(has_aes()),
            keyring: Keyring::default(),
            certificates: Certificates::default(),
            clients: HashMap::new(),
        }
    }

    /// Reads and issues what `config` needs. Nothing is in force before it is [kept](Secrets::keep).
    pub(super) fn prepare(&mut self, config: &Config, now_s: u64, monotonic_s: u64) -> Result<Prepared, String> {
        let certificates = self.certificates.load(config, now_s);
        let mut material = Vec::with_capacity(config.sites.len());
        for site in (0..config.sites.len() as u32).map(SiteId) {
            material.push(match certificates.site(site) {
                None => None,
                Some(site) => {
                    let policy = site.clients().map(|auth| {
                        let seed = Seed::random().map_err(|_| NO_RANDOMNESS)?;
                        Ok::<_, &str>(self.keyring.policy(auth.clone(), monotonic_s, &seed))
                    });
                    Some(Material { pairs: site.pairs().to_vec(), policy: policy.transpose()? })
                }
            });
        }
        let mut warnings: Vec<String> = certificates.findings().iter().map(warning).collect();
        let clients = self.clients(config, &mut warnings)?;
        let configs: Clients = clients.iter().map(|(trust, client)| (trust.clone(), client.config.clone())).collect();
        let kernel = kernel_tls(config, &mut warnings);
        let tls = Tls::build(config, &material, configs, &self.order, kernel, now_s);
        let tls = tls.map_err(|error| error.to_string())?;
        Ok(Prepared { tls, warnings, kept: Kept { certificates, clients } })
    }

    /// The snapshot is in force: the next one falls back on what it has.
    pub(super) fn keep(&mut self, kept: Kept) {
        Kept { certificates: self.certificates, clients: self.clients } = kept;
    }

    /// Rotates the ticket keys that are due. Whether certificates of our own have to be renewed, which a reload does.
    pub(super) fn look_after(&mut self, now_s: u64, monotonic_s: u64) -> bool {
        // Without randomness the keys in use stay: they are still good.
        let _ = self.keyring.rotate(monotonic_s, Seed::random);
        self.certificates.due_s().is_some_and(|due_s| due_s <= now_s)
    }

    /// A client for each trust that the servers of `config` have. One whose file cannot be read keeps what it had, or
    /// believes nobody.
    fn clients(&self, config: &Config, warnings: &mut Vec<String>) -> Result<HashMap<Trust, Client>, String> {
        let mut clients = HashMap::new();
        let servers = config.pools.iter().flat_map(|pool| &pool.servers);
        for trust in servers.filter_map(|server| Some(&server.tls.as_ref()?.trust)) {
            if clients.contains_key(trust) {
                continue;
            }
            let last = self.clients.get(trust);
            let client = match (self.client(trust, last), last) {
                (Ok(client), _) => client,
                (Err(why), Some(last)) => {
                    warnings.push(format!("{why}; the authorities that were read before stay in use"));
                    last.clone()
                }
                (Err(why), None) => {
                    warnings.push(format!("{why}; servers that are verified by it cannot be reached"));
                    self.made(Vec::new(), Trusted::Roots(RootCertStore::empty().into()))?
                }
            };
            clients.insert(trust.clone(), client);
        }
        Ok(clients)
    }

    fn client(&self, trust: &Trust, last: Option<&Client>) -> Result<Client, String> {
        match (trust, last) {
            // Neither changes while we run.
            (Trust::Anyone | Trust::System, Some(last)) => Ok(last.clone()),
            (Trust::Anyone, None) => self.made(Vec::new(), Trusted::Anyone),
            (Trust::System, None) => self.made(Vec::new(), Trusted::Roots(system_roots()?.into())),
            (Trust::Authorities(path), last) => {
                let explain = |fault: Fault| format!("{}: {fault}: {}", path.display(), fault.hint());
                let pem = disk::file(path).map_err(explain)?;
                match last.filter(|last| last.roots == pem) {
                    Some(last) => Ok(last.clone()),
                    None => {
                        let roots = roots(&pem).map_err(explain)?;
                        self.made(pem, Trusted::Roots(roots.into()))
                    }
                }
            }
        }
    }

    fn made(&self, roots: Vec<u8>, trusted: Trusted) -> Result<Client, String> {
        let config = client_config(&self.order, trusted, ALPN).map_err(|error| error.to_string())?;
        Ok(Client { roots, config })
    }
}

/// Whether the kernel makes records for this configuration. Nothing is lost where it cannot, but who has asked for it is
/// told.
fn kernel_tls(config: &Config, warnings: &mut Vec<String>) -> bool {
    if !config.kernel_tls || terminations(config).next().is_none() {
        return false;
    }
    let found = records_available();
    if let Err(error) = &found {
        warnings.push(match error.kind() {
            io::ErrorKind::NotFound => NO_KERNEL_TLS.to_owned(),
            _ => format!("warning: kernel_tls: the TLS of this kernel cannot be used: {error}; remove kernel_tls"),
        });
    }
    found.is_ok()
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    match (roots.is_empty(), found.errors.first()) {
        (false, _) => Ok(roots),
        (true, Some(error)) => Err(format!("the authorities that this system trusts cannot be read: {error}")),
        (true, None) => Err(NO_AUTHORITIES.to_owned()),
    }
}

fn warning(finding: &Finding) -> String {
    let grade = if finding.severity == Severity::Error { "error" } else { "warning" };
    format!("{grade}: {finding}: {}", finding.problem.fault.hint())
}

const NO_KERNEL_TLS: &str = "warning: kernel_tls: this kernel has no TLS, or has not loaded it: run `modprobe tls` and reload, \
                             or remove kernel_tls; until then TLS is done by us";
const NO_RANDOMNESS: &str = "the system gives no randomness for ticket keys";
const NO_AUTHORITIES: &str =
    "this system trusts no authority: install ca-certificates, or name one with `ca` beside the servers";
