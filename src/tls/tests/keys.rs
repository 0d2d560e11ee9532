//! Keys that are taken out of an engine, beside a client that goes on: records are sealed and opened by hand here, as the
//! kernel does it (net/tls/tls_sw.c).

use super::engines::Bench;
use super::handshakes::{Client, open, server_giving_keys};
use super::{ecdsa, rsa};
use crate::tls::{Engine, Keys, RECORD_BYTES, cipher_order};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use rustls::ConnectionTrafficSecrets::{self, Aes128Gcm, Aes256Gcm, Chacha20Poly1305};
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedCipherSuite};
use std::io::{Read, Write};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
const CLOSE_NOTIFY: [u8; 2] = [1, 0];
const HEADER_BYTES: usize = 5;
const TAG_BYTES: usize = 16;

/// One direction of a connection.
struct Kernel {
    is_tls13: bool,
    /// The last eight bytes of the nonce go with the record.
    explicit: bool,
    key: LessSafeKey,
    nonce: [u8; 12],
    sequence: u64,
}

impl Kernel {
    fn new(version: ProtocolVersion, (sequence, secrets): &(u64, ConnectionTrafficSecrets)) -> Kernel {
        let (algorithm, key, iv) = match secrets {
            Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => panic!("a cipher that the kernel is not asked for"),
        };
        let is_tls13 = version == ProtocolVersion::TLSv1_3;
        Kernel {
            is_tls13,
            explicit: !is_tls13 && *algorithm != CHACHA20_POLY1305,
            key: LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).unwrap()),
            nonce: iv.as_ref().try_into().unwrap(),
            sequence: *sequence,
        }
    }

    fn seal(&mut self, kind: u8, plain: &[u8]) -> Vec<u8> {
        let mut bytes = plain.to_vec();
        bytes.extend(self.is_tls13.then_some(kind));
        let explicit: &[u8] = if self.explicit { &self.nonce[4..] } else { &[] };
        let payload = explicit.len() + bytes.len() + TAG_BYTES;
        let header = header(if self.is_tls13 { DATA } else { kind }, payload);
        let mut record = [&header, explicit].concat();
        let nonce = self.mixed(self.nonce);
        let aad = self.aad(header, plain.len());
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes).unwrap();
        record.extend(bytes);
        self.sequence += 1;
        if self.explicit {
            let count = u64::from_be_bytes(self.nonce[4..].try_into().unwrap());
            self.nonce[4..].copy_from_slice(&count.wrapping_add(1).to_be_bytes());
        }
        record
    }

    /// What is in a record, and its type.
    fn open(&mut self, record: &[u8]) -> (u8, Vec<u8>) {
        let (header, mut rest) = record.split_first_chunk::<HEADER_BYTES>().unwrap();
        let mut nonce = self.nonce;
        if self.explicit {
            let (explicit, sealed) = rest.split_at(8);
            nonce[4..].copy_from_slice(explicit);
            rest = sealed;
        }
        let aad = self.aad(*header, rest.len() - TAG_BYTES);
        let mut bytes = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(self.mixed(nonce));
        let mut plain = self.key.open_in_place(nonce, aad, &mut bytes).expect("it opens").to_vec();
        self.sequence += 1;
        let kind = if self.is_tls13 { plain.pop().unwrap() } else { header[0] };
        (kind, plain)
    }

    /// RFC 8446 section 5.3, RFC 7905 section 2.
    fn mixed(&self, mut nonce: [u8; 12]) -> [u8; 12] {
        if !self.explicit {
            nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()).for_each(|(byte, other)| *byte ^= other);
        }
        nonce
    }

    /// RFC 8446 section 5.2, RFC 5246 section 6.2.3.3.
    fn aad(&self, header: [u8; HEADER_BYTES], plain: usize) -> Aad<Vec<u8>> {
        Aad::from(match self.is_tls13 {
            true => header.to_vec(),
            false => {
                [&self.sequence.to_be_bytes()[..], &header[..3], &u16::try_from(plain).unwrap().to_be_bytes()].concat()
            }
        })
    }
}

fn header(kind: u8, payload: usize) -> [u8; HEADER_BYTES] {
    let [high, low] = u16::try_from(payload).unwrap().to_be_bytes();
    [kind, 3, 3, high, low]
}

/// The records that `wire` is made of.
fn records(mut wire: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let [_, _, _, high, low, ..] = *wire {
        let (record, rest) = wire.split_at(HEADER_BYTES + usize::from(u16::from_be_bytes([high, low])));
        records.push(record);
        wire = rest;
    }
    records
}

fn suites() -> Vec<SupportedCipherSuite> {
    cipher_order(true).provider.cipher_suites.clone()
}

/// An established connection whose keys may be had, and all that the engine has sent on it.
fn established(suite: SupportedCipherSuite) -> (Bench, Vec<u8>) {
    let config = server_giving_keys(&open(), &[&ecdsa(&["a.test"]), &rsa(&["a.test"])], true, true);
    let mut client = Client::new(&[suite.version()]);
    client.suites = vec![suite];
    let (mut bench, mut sent) = (Bench::of(config, client, RECORD_BYTES), Vec::new());
    while bench.client.is_handshaking() || !bench.engine.is_established() {
        assert!(!bench.engine.gives_keys());
        bench.up().unwrap();
        sent.extend_from_slice(&bench.out);
        bench.down();
    }
    (bench, sent)
}

/// The keys; another engine has the place of theirs.
fn taken(bench: &mut Bench) -> Keys {
    assert!(bench.engine.gives_keys());
    let (spare, _) = established(suites()[0]);
    std::mem::replace(&mut bench.engine, spare.engine).into_keys().unwrap()
}

#[test]
fn a_client_goes_on_with_who_has_the_keys() {
    for (suite, before) in suites().into_iter().flat_map(|suite| [0, 1, 3].map(|before| (suite, before))) {
        let (mut bench, _) = established(suite);
        for _ in 0..before {
            bench.client.writer().write_all(b"up").unwrap();
            bench.up().unwrap();
            bench.engine.seal(b"down", RECORD_BYTES, &mut bench.out).unwrap();
            bench.down();
            bench.client_reads(b"down");
        }
        let keys = taken(&mut bench);
        let (mut tx, mut rx) = (Kernel::new(keys.version, &keys.tx), Kernel::new(keys.version, &keys.rx));
        for len in [1, 300, RECORD_BYTES] {
            let bytes = vec![len as u8; len];
            bench.out = tx.seal(DATA, &bytes);
            bench.down();
            bench.client_reads(&bytes);
            bench.client.writer().write_all(&bytes).unwrap();
            let mut wire = Vec::new();
            bench.client.write_tls(&mut wire).unwrap();
            let [record] = records(&wire)[..] else { panic!("one record") };
            assert_eq!(rx.open(record), (DATA, bytes), "{suite:?}");
        }
        // Both say that they send no more.
        bench.out = tx.seal(ALERT, &CLOSE_NOTIFY);
        bench.down();
        assert_eq!(bench.client.reader().read(&mut [0; 8]).unwrap(), 0, "a clean end");
        bench.client.send_close_notify();
        let mut wire = Vec::new();
        bench.client.write_tls(&mut wire).unwrap();
        assert_eq!(rx.open(&wire), (ALERT, CLOSE_NOTIFY.to_vec()));
    }
}

#[test]
fn no_nonce_serves_both_the_engine_and_who_counts_on() {
    // RFC 5288: of a nonce that travels with its record nobody but the sender knows that it is new.
    let explicit =
        |suite: &SupportedCipherSuite| suite.version() == &TLS12 && suite.suite().as_str().unwrap().contains("GCM");
    let suites: Vec<_> = suites().into_iter().filter(explicit).collect();
    assert_eq!(suites.len(), 4);
    for suite in suites {
        let (mut bench, mut sent) = established(suite);
        bench.engine.seal(&[7; 5], 1, &mut bench.out).unwrap();
        sent.extend_from_slice(&bench.out);
        let number = |record: &[u8]| u64::from_be_bytes(record[HEADER_BYTES..][..8].try_into().unwrap());
        // Sealed are the bytes, and of the handshake the last message.
        let sealed = records(&sent).into_iter().rev().take(6).collect::<Vec<_>>();
        assert!(sealed.iter().all(|record| record[0] == DATA || record[0] == HANDSHAKE));
        let keys = taken(&mut bench);
        let mut tx = Kernel::new(keys.version, &keys.tx);
        assert_eq!(tx.sequence, 6);
        let next = number(&tx.seal(DATA, b"x"));
        for used in sealed.into_iter().map(number) {
            let (ahead, behind) = (next.wrapping_sub(used), used.wrapping_sub(next));
            assert!(ahead.min(behind) > 1 << 62, "{suite:?}: {used:#x} was used, {next:#x} is next");
        }
    }
}

#[test]
fn an_engine_in_the_middle_of_something_keeps_its_keys() {
    let (mut bench, _) = established(suites()[0]);
    assert!(bench.engine.gives_keys());
    bench.client.writer().write_all(b"hello").unwrap();
    let mut wire = Vec::new();
    bench.client.write_tls(&mut wire).unwrap();
    let (mut begun, mut rest) = (wire[..9].to_vec(), wire[9..].to_vec());
    bench.feed(&mut begun).unwrap();
    assert!(!bench.engine.gives_keys(), "half a record has come");
    bench.feed(&mut rest).unwrap();
    assert!(bench.engine.gives_keys());
    bench.client.send_close_notify();
    bench.up().unwrap();
    assert!(!bench.engine.gives_keys(), "nothing more comes");

    let (mut bench, _) = established(suites()[0]);
    bench.feed(&mut header(DATA, TAG_BYTES + 1).into_iter().chain([0; TAG_BYTES + 1]).collect::<Vec<_>>()).unwrap_err();
    assert!(!bench.engine.gives_keys(), "it has failed");
}

#[test]
fn keys_are_given_only_where_they_may_be() {
    for version in [&TLS12, &TLS13] {
        let engine: Engine = Bench::established(version, RECORD_BYTES).engine;
        assert!(!engine.gives_keys());
        assert!(engine.into_keys().is_err());
    }
}
