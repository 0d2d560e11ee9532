//! Session tickets: the server's memory of a session, encrypted and kept by the client. Nothing is stored here but the
//! keys, which all cores share; nothing is locked.
//!
//! A key seals tickets for [`KEY_LIFETIME_S`] and opens them as long again. What a resumed session may do is not in
//! its ticket, so there is a set of keys for each client policy; see `policy`.

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;
use std::fmt;
use std::sync::Arc;

/// How long a key seals tickets. A ticket is good for at least this long, and twice this long at most.
pub const KEY_LIFETIME_S: u64 = 12 * 60 * 60;

/// Randomness for a key: its name and its bits.
#[derive(Clone)]
pub struct Seed {
    name: [u8; NAME_LEN],
    bits: [u8; KEY_LEN],
}

impl Seed {
    /// A seed that nobody can guess.
    pub fn random() -> Result<Seed, Unspecified> {
        let mut seed = Seed { name: [0; NAME_LEN], bits: [0; KEY_LEN] };
        rand::fill(&mut seed.name)?;
        rand::fill(&mut seed.bits)?;
        Ok(seed)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

/// The key that seals tickets and the one that did so before. A value: rotation makes another one.
#[derive(Clone, Debug)]
pub struct TicketKeys {
    current: Arc<TicketKey>,
    previous: Option<Arc<TicketKey>>,
    /// When `current` began.
    since_s: u64,
}

impl TicketKeys {
    /// Keys that begin at `now_s`, seconds of a clock that does not go back.
    pub fn new(now_s: u64, seed: &Seed) -> TicketKeys {
        TicketKeys { current: Arc::new(TicketKey::new(seed)), previous: None, since_s: now_s }
    }

    /// When the current key has sealed long enough.
    pub fn due_s(&self) -> u64 {
        self.since_s.saturating_add(KEY_LIFETIME_S)
    }

    /// The keys at `now_s`, if others than these. After a long sleep the key that was current is too old as well.
    pub fn rotated(&self, now_s: u64, seed: &Seed) -> Option<TicketKeys> {
        if now_s < self.due_s() {
            return None;
        }
        let previous = (now_s < self.due_s().saturating_add(KEY_LIFETIME_S)).then(|| self.current.clone());
        Some(TicketKeys { previous, ..TicketKeys::new(now_s, seed) })
    }

    fn seal(&self, session: &[u8]) -> Option<Vec<u8>> {
        self.current.seal(session)
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, sealed) = ticket.split_first_chunk()?;
        let keys = [Some(&self.current), self.previous.as_ref()];
        keys.into_iter().flatten().find(|key| key.name == *name)?.open(sealed)
    }
}

/// A key with the name by which a ticket tells which one sealed it.
struct TicketKey {
    name: [u8; NAME_LEN],
    /// ChaCha20-Poly1305: as fast on boards without AES instructions as elsewhere, and never in need of tables that
    /// other processes could watch. Nonces are random: at a hundred thousand tickets a second for a whole
    /// [`KEY_LIFETIME_S`], 2^32 of them, two are equal with a chance of 2^-33.
    key: LessSafeKey,
}

impl TicketKey {
    fn new(seed: &Seed) -> TicketKey {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &seed.bits).expect("a seed has the bits of a key");
        TicketKey { name: seed.name, key: LessSafeKey::new(key) }
    }

    /// `name ‖ nonce ‖ ciphertext ‖ tag`
    fn seal(&self, session: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut ticket = Vec::with_capacity(NAME_LEN + NONCE_LEN + session.len() + CHACHA20_POLY1305.tag_len());
        ticket.extend_from_slice(&self.name);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(session);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = &mut ticket[NAME_LEN + NONCE_LEN..];
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(self.name), sealed).ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk()?;
        let mut bytes = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key.open_in_place(nonce, Aad::from(self.name), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey")
    }
}

/// The keys in use, as rustls asks for them: read by every core, replaced by the control plane.
#[derive(Debug)]
pub struct Ticketer {
    keys: ArcSwap<TicketKeys>,
}

impl Ticketer {
    pub(super) fn new(keys: TicketKeys) -> Ticketer {
        Ticketer { keys: ArcSwap::from_pointee(keys) }
    }

    /// Rotates the keys if they are due. For the control plane, which alone does so.
    pub(super) fn rotate(&self, now_s: u64, seed: &Seed) {
        if let Some(keys) = self.keys.load().rotated(now_s, seed) {
            self.keys.store(Arc::new(keys));
        }
    }

    pub(super) fn due_s(&self) -> u64 {
        self.keys.load().due_s()
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        KEY_LIFETIME_S as u32
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        self.keys.load().seal(session)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.keys.load().open(ticket)
    }
}

const NAME_LEN: usize = 16;
const KEY_LEN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(byte: u8) -> Seed {
        Seed { name: [byte; NAME_LEN], bits: [byte; KEY_LEN] }
    }

    #[test]
    fn a_ticket_opens_to_what_was_sealed() {
        let keys = TicketKeys::new(0, &seed(1));
        for session in [&b""[..], b"a session", &[7; 4096]] {
            let ticket = keys.seal(session).unwrap();
            assert_eq!(keys.open(&ticket).as_deref(), Some(session));
            assert_ne!(ticket, keys.seal(session).unwrap(), "every nonce is another one");
        }
    }

    #[test]
    fn a_ticket_that_was_touched_does_not_open() {
        let keys = TicketKeys::new(0, &seed(1));
        let ticket = keys.seal(b"a session").unwrap();
        for at in 0..ticket.len() {
            let mut touched = ticket.clone();
            touched[at] ^= 1;
            assert_eq!(keys.open(&touched), None, "byte {at}");
            assert_eq!(keys.open(&ticket[..at]), None, "cut at {at}");
        }
        assert_eq!(TicketKeys::new(0, &seed(2)).open(&ticket), None);
    }

    #[test]
    fn keys_seal_for_one_lifetime_and_open_for_another() {
        let first = TicketKeys::new(100, &seed(1));
        let ticket = first.seal(b"a session").unwrap();
        let after = |keys: &TicketKeys, now_s| keys.rotated(now_s, &seed((now_s % 251) as u8));
        assert!(after(&first, first.due_s() - 1).is_none());

        let second = after(&first, first.due_s()).unwrap();
        assert!(second.open(&ticket).is_some());
        assert_ne!(second.seal(b"").unwrap()[..NAME_LEN], ticket[..NAME_LEN]);

        assert!(after(&second, second.due_s()).unwrap().open(&ticket).is_none());
        // Nothing turned the keys for a whole lifetime: the machine slept.
        assert!(after(&first, first.due_s() + KEY_LIFETIME_S).unwrap().open(&ticket).is_none());
    }
}
