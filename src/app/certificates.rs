//! All certificates of a configuration: read from disk or issued by our own authority, the ones in use as a fall-back,
//! and what is wrong with them. For the running program, and for the verbs that only look. What is good and what is
//! chosen for whom is decided in `tls`.

use super::{disk, machine, state};
use crate::config::Severity;
use crate::model::{CertificateSource, Config, HostPattern, ListenerId, Site, SiteId, SiteTls, Termination, Trust};
use crate::tls::{Authority, CertStore, ClientAuth, Fault, Leaves, Pair, Problem, Shelf, SitePairs};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the sites of a configuration show to clients, and which clients they let in. A value: each reload makes another
/// one of it, and drops that if the reload fails.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// By [`SiteId`]; `None` for sites that do not end TLS.
    sites: Vec<Option<SiteCertificates>>,
    findings: Vec<Finding>,
    shelf: Shelf,
    leaves: Leaves,
    authority: Option<Arc<Authority>>,
    /// By the path of `client_ca`.
    clients: HashMap<PathBuf, Clients>,
}

/// The certificates of a site.
#[derive(Clone, Debug)]
pub struct SiteCertificates {
    pairs: Vec<Arc<Pair>>,
    clients: Option<ClientAuth>,
}

impl SiteCertificates {
    /// Its pairs, in the order of the configuration.
    pub fn pairs(&self) -> &[Arc<Pair>] {
        &self.pairs
    }

    /// Which clients it lets in; `None` where that is not known, and nobody may be: its `client_ca` cannot be read.
    pub fn clients(&self) -> Option<&ClientAuth> {
        self.clients.as_ref()
    }

    /// Whether any client gets a certificate.
    pub fn serves(&self) -> bool {
        !self.pairs.is_empty() && self.clients.is_some()
    }
}

/// Something wrong, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The sites or pools that it concerns.
    pub concerns: Vec<String>,
    /// An error if one of them cannot work at all.
    pub severity: Severity,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is wrong with a site itself names it already.
        match &self.concerns[..] {
            [site] if *site == self.problem.origin => self.problem.fmt(f),
            concerns => write!(f, "{}: {}", concerns.join(", "), self.problem),
        }
    }
}

/// What a `client_ca` gave.
#[derive(Clone, Debug)]
struct Clients {
    auth: Option<ClientAuth>,
    problem: Option<Problem>,
}

impl Certificates {
    /// Reads and issues what `config` asks for. Where something cannot be had, what these certificates have of it stays
    /// in use. Makes the authority if there is none yet and a site wants it. `now_s`: seconds since 1970.
    pub fn load(&self, config: &Config, now_s: u64) -> Certificates {
        self.next(config, state::authority(config, now_s), &machine::names(), now_s)
    }

    /// What [`Certificates::load`] would come to at a start. Writes nothing.
    pub fn look(config: &Config, now_s: u64) -> Certificates {
        let authority = state::authority_to_look(config, now_s);
        Certificates::default().next(config, authority, &machine::names(), now_s)
    }

    /// Those of a site; `None` if it does not end TLS.
    pub fn site(&self, site: SiteId) -> Option<&SiteCertificates> {
        self.sites.get(site.index())?.as_ref()
    }

    /// What the sites of a listener show, for [`CertStore::build`]. The problems that this tells are among the findings
    /// already. A site of which nobody knows whom to let in shows nothing; it keeps its hosts, so that no other site
    /// answers for them.
    pub fn of_listener<'c>(
        &'c self,
        config: &'c Config,
        listener: ListenerId,
    ) -> impl Iterator<Item = SitePairs<'c>> + 'c {
        terminations(config).filter(move |(_, site, _)| site.listeners.contains(&listener)).map(|(id, site, _)| {
            let pairs = self.site(id).filter(|site| site.serves()).map(|site| site.pairs.clone());
            SitePairs { site: id, hosts: &site.hosts, pairs: pairs.unwrap_or_default() }
        })
    }

    /// What is wrong with them.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Our own authority, if a site wants it.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_deref()
    }

    /// When to load again because of what was issued: see [`Leaves::due_s`].
    pub fn due_s(&self) -> Option<u64> {
        self.leaves.due_s()
    }

    fn next(
        &self,
        config: &Config,
        authority: Result<Option<Authority>, Problem>,
        machine: &[String],
        now_s: u64,
    ) -> Certificates {
        let (authority, no_authority) = match authority {
            Ok(found) => (found.map(Arc::new), None),
            Err(problem) => (self.authority.clone(), Some(problem)),
        };
        let sources = terminations(config).flat_map(|(_, _, termination)| &termination.certificates);
        let shelf = self.shelf.reload(sources, &mut disk::read);
        let mut next = Certificates { shelf, authority, ..Certificates::default() };
        next.sites.resize_with(config.sites.len(), || None);
        let mut problems = Vec::new();
        for (id, site, termination) in terminations(config) {
            let (mut pairs, mut wrong) = (Vec::new(), Vec::new());
            for source in &termination.certificates {
                match source {
                    CertificateSource::Internal => {
                        wrong.extend(no_authority.clone());
                        match next.issued(self, &site.hosts, machine, now_s) {
                            Some(Ok(pair)) => pairs.push(pair),
                            Some(Err(fault)) => wrong.push(fault.of(&site.name)),
                            None => {}
                        }
                    }
                    _ => {
                        pairs.extend(next.shelf.pairs(source, &site.hosts));
                        wrong.extend_from_slice(next.shelf.problems(source));
                    }
                }
            }
            let Clients { auth, problem } = match &termination.client_ca {
                Some(path) => next.clients(self, path).clone(),
                None => Clients { auth: Some(ClientAuth::open()), problem: None },
            };
            problems.extend(wrong.into_iter().chain(problem).map(|problem| (id, problem)));
            next.sites[id.index()] = Some(SiteCertificates { pairs, clients: auth });
        }
        let all = terminations(config).map(|(id, site, _)| {
            let pairs = next.site(id).map(|site| site.pairs.clone()).unwrap_or_default();
            SitePairs { site: id, hosts: &site.hosts, pairs }
        });
        problems.extend(CertStore::build(all, now_s).1);
        next.findings = findings(config, &next, problems);
        next
    }

    /// What our own authority issues for `hosts`; `None` without one.
    fn issued(
        &mut self,
        last: &Certificates,
        hosts: &[HostPattern],
        machine: &[String],
        now_s: u64,
    ) -> Option<Result<Arc<Pair>, Fault>> {
        let authority = self.authority.as_deref()?;
        Some(self.leaves.pair(&last.leaves, authority, hosts, machine, now_s))
    }

    /// The clients of the authorities at `path`, each path read once.
    fn clients(&mut self, last: &Certificates, path: &Path) -> &Clients {
        self.clients.entry(path.to_owned()).or_insert_with(|| {
            match disk::file(path).and_then(|pem| ClientAuth::required(&pem)) {
                Ok(auth) => Clients { auth: Some(auth), problem: None },
                // Never everybody instead.
                Err(fault) => Clients {
                    auth: last.clients.get(path).and_then(|last| last.auth.clone()),
                    problem: Some(fault.of(path.display().to_string())),
                },
            }
        })
    }
}

/// What is wrong with the files of authorities that verify servers (`ca` of an upstream).
pub fn upstream_findings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pool in &config.pools {
        let trusts = pool.servers.iter().filter_map(|server| Some(&server.tls.as_ref()?.trust));
        let paths = trusts.filter_map(|trust| if let Trust::Authorities(path) = trust { Some(path) } else { None });
        for path in paths {
            // A file of authorities is one, whoever is verified by it.
            if let Err(fault) = disk::file(path).and_then(|pem| ClientAuth::required(&pem)) {
                add(&mut findings, &pool.name, Severity::Error, fault.of(path.display().to_string()));
            }
        }
    }
    findings
}

/// Problems as findings: told once, whatever the number of sites that share a file.
fn findings(config: &Config, certificates: &Certificates, problems: Vec<(SiteId, Problem)>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, problem) in problems {
        let serves = certificates.site(id).is_some_and(SiteCertificates::serves);
        let severity = if problem.fault.is_fatal() && !serves { Severity::Error } else { Severity::Warning };
        add(&mut findings, &config.sites[id.index()].name, severity, problem);
    }
    findings
}

fn add(findings: &mut Vec<Finding>, who: &str, severity: Severity, problem: Problem) {
    let Some(known) = findings.iter_mut().find(|known| known.problem == problem) else {
        return findings.push(Finding { concerns: vec![who.to_owned()], severity, problem });
    };
    if severity == Severity::Error {
        known.severity = severity;
    }
    if !known.concerns.iter().any(|known| known == who) {
        known.concerns.push(who.to_owned());
    }
}

/// The sites that end TLS.
pub fn terminations(config: &Config) -> impl Iterator<Item = (SiteId, &Site, &Termination)> {
    (0..).map(SiteId).zip(&config.sites).filter_map(|(id, site)| match &site.tls {
        Some(SiteTls::Terminate(termination)) => Some((id, site, termination)),
        _ => None,
    })
}
