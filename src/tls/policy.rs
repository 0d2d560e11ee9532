//! Client policies: which clients a site lets in, by the certificates that they show, and the ticket keys of each such
//! policy.
//!
//! rustls resumes a session without asking for the client's certificate again. Were a ticket of an open site good where
//! certificates are required, whoever got one there would be let in here. So every policy has keys of its own, and
//! the two are only to be had together. A client whose certificate has ended since is let in until its ticket ends.

use super::pair::{fingerprint, read_chain};
use super::problem::Fault;
use super::tickets::{Seed, TicketKeys, Ticketer};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Which clients are let in.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    id: PolicyId,
}

/// Tells policies apart: equal for equal ones, today and after a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PolicyId([u8; 32]);

impl ClientAuth {
    /// Everybody; no certificate is asked for.
    pub fn open() -> ClientAuth {
        ClientAuth { verifier: WebPkiClientVerifier::no_client_auth(), id: PolicyId([0; 32]) }
    }

    /// Those with a certificate of one of these authorities, directly or not.
    pub fn required(ca_pem: &[u8]) -> Result<ClientAuth, Fault> {
        let bad = |why: String| Fault::BadCertificate(why);
        let authorities = read_chain(ca_pem)?;
        let mut prints: Vec<[u8; 32]> = authorities.iter().map(|authority| fingerprint(authority)).collect();
        // Neither the order in the file nor a repetition makes another policy.
        prints.sort_unstable();
        prints.dedup();
        let id = PolicyId(fingerprint(prints.as_flattened()));
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|why| bad(why.to_string()))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), default_provider().into()).build();
        Ok(ClientAuth { verifier: verifier.map_err(|why| bad(why.to_string()))?, id })
    }

    /// Whether two policies are the same.
    pub fn id(&self) -> PolicyId {
        self.id
    }
}

/// A client policy with the ticket keys that belong to it alone.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) auth: ClientAuth,
    pub(super) tickets: Arc<Ticketer>,
}

impl Policy {
    /// Whether two policies are the same.
    pub fn id(&self) -> PolicyId {
        self.auth.id
    }
}

/// The ticket keys of all policies in use. For the control plane; cores hold what it gives out.
///
/// It holds nothing alive: the keys of a policy that no configuration in use names any more are gone, and so are its
/// tickets. A reload that keeps the policy keeps the keys.
#[derive(Debug, Default)]
pub struct Keyring {
    sets: HashMap<PolicyId, Weak<Ticketer>>,
}

impl Keyring {
    /// The policy with its keys: those in use, or keys made of `seed`.
    pub fn policy(&mut self, auth: ClientAuth, now_s: u64, seed: &Seed) -> Policy {
        let known = self.sets.get(&auth.id).and_then(Weak::upgrade);
        let tickets = known.unwrap_or_else(|| {
            let tickets = Arc::new(Ticketer::new(TicketKeys::new(now_s, seed)));
            self.sets.insert(auth.id, Arc::downgrade(&tickets));
            tickets
        });
        Policy { auth, tickets }
    }

    /// Rotates the keys that are due, each with a seed of its own, and forgets those that nobody uses.
    pub fn rotate<E>(&mut self, now_s: u64, mut seed: impl FnMut() -> Result<Seed, E>) -> Result<(), E> {
        self.sets.retain(|_, tickets| tickets.strong_count() > 0);
        for tickets in self.sets.values().filter_map(Weak::upgrade).filter(|tickets| tickets.due_s() <= now_s) {
            tickets.rotate(now_s, &seed()?);
        }
        Ok(())
    }

    /// When the next key is due; `None` while there is none.
    pub fn due_s(&self) -> Option<u64> {
        self.sets.values().filter_map(Weak::upgrade).map(|tickets| tickets.due_s()).min()
    }
}
