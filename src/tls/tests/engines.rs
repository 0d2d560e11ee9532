//! The engine beside rustls' own connections, with its input cut in every way.

use super::handshakes::{Client, guarded, open, server};
use super::{ecdsa, rsa};
use crate::tls::{Engine, Policy, RECORD_BYTES, sealed_len};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, Error, ServerConfig, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::sync::Arc;

/// A client of rustls and our engine, and the wire between them.
pub(super) struct Bench {
    pub(super) client: ClientConnection,
    pub(super) engine: Engine,
    /// The engine gets at most so many bytes at once.
    cut: usize,
    /// What it has understood.
    pub(super) plain: Vec<u8>,
    /// What it has to send.
    pub(super) out: Vec<u8>,
    /// What the client has read.
    read: Vec<u8>,
}

impl Bench {
    fn new(version: &'static SupportedProtocolVersion, cut: usize) -> Bench {
        Bench::with(&open(), version, cut)
    }

    fn with(policy: &Policy, version: &'static SupportedProtocolVersion, cut: usize) -> Bench {
        let config = server(policy, &[&ecdsa(&["a.test"]), &rsa(&["a.test"])], true);
        Bench::of(config, Client::new(&[version]), cut)
    }

    pub(super) fn of(config: Arc<ServerConfig>, client: Client, cut: usize) -> Bench {
        Bench {
            client: ClientConnection::new(client.config(), "a.test".try_into().unwrap()).unwrap(),
            engine: Engine::server(config).unwrap(),
            cut,
            plain: Vec::new(),
            read: Vec::new(),
            out: Vec::new(),
        }
    }

    pub(super) fn established(version: &'static SupportedProtocolVersion, cut: usize) -> Bench {
        let mut bench = Bench::new(version, cut);
        while bench.client.is_handshaking() || !bench.engine.is_established() {
            bench.up().unwrap();
            bench.down();
        }
        bench
    }

    /// What the client has to send.
    pub(super) fn up(&mut self) -> Result<(), Error> {
        let mut wire = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut wire).unwrap();
        }
        self.feed(&mut wire)
    }

    pub(super) fn feed(&mut self, wire: &mut [u8]) -> Result<(), Error> {
        wire.chunks_mut(self.cut).try_for_each(|part| self.engine.receive(part, &mut self.plain, &mut self.out))
    }

    /// What the engine has to send.
    pub(super) fn down(&mut self) {
        let wire = std::mem::take(&mut self.out);
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            self.client.read_tls(&mut wire).unwrap();
            self.client.process_new_packets().unwrap();
            // Its buffer is small; what there is not to read, yet or any more, is told as an error or an end.
            let _ = self.client.reader().read_to_end(&mut self.read);
        }
    }

    #[track_caller]
    pub(super) fn client_reads(&mut self, expect: &[u8]) {
        assert!(std::mem::take(&mut self.read) == expect);
    }
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
const CUTS: [usize; 6] = [1, 5, 61, 4096, 16_401, 65_536];

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 7 + n / 251) as u8).collect()
}

#[test]
fn bytes_arrive_both_ways_however_they_are_cut() {
    for (version, cut) in VERSIONS.into_iter().flat_map(|version| CUTS.map(|cut| (version, cut))) {
        let mut bench = Bench::established(version, cut);
        for len in [1, 300, RECORD_BYTES, 3 * RECORD_BYTES + 1] {
            bench.client.writer().write_all(&bytes(len)).unwrap();
            bench.up().unwrap();
            assert!(std::mem::take(&mut bench.plain) == bytes(len), "{len} bytes up, {cut} at once");
            bench.engine.seal(&bytes(len), RECORD_BYTES, &mut bench.out).unwrap();
            assert!(bench.out.len() <= sealed_len(len, RECORD_BYTES));
            bench.down();
            bench.client_reads(&bytes(len));
        }
        assert_eq!(bench.engine.waiting.capacity(), 0, "nothing is held between messages");
    }
}

#[test]
fn records_are_as_small_as_they_are_asked_to_be() {
    let mut bench = Bench::established(&TLS13, 4096);
    bench.engine.seal(&bytes(10_000), 4096, &mut bench.out).unwrap();
    let mut lengths = Vec::new();
    let mut rest = bench.out.as_slice();
    while let [_, _, _, high, low, ..] = *rest {
        lengths.push(usize::from(u16::from_be_bytes([high, low])));
        rest = &rest[5 + lengths[lengths.len() - 1]..];
    }
    assert_eq!(lengths, [4096 + 17, 4096 + 17, 1808 + 17]);
}

#[test]
fn a_close_is_told_apart_from_a_cut_and_leaves_our_direction_open() {
    for version in VERSIONS {
        let mut bench = Bench::established(version, 7);
        assert!(!bench.engine.peer_closed());
        bench.client.send_close_notify();
        bench.up().unwrap();
        assert!(bench.engine.peer_closed());
        bench.engine.seal(b"still here", RECORD_BYTES, &mut bench.out).unwrap();
        bench.down();
        bench.client_reads(b"still here");
        bench.engine.close(&mut bench.out).unwrap();
        bench.down();
        assert_eq!(bench.client.reader().read(&mut [0; 8]).unwrap(), 0, "a clean end");
    }
}

#[test]
fn new_keys_that_the_peer_asks_for_go_before_our_next_record() {
    for cut in CUTS {
        let mut bench = Bench::established(&TLS13, cut);
        bench.client.refresh_traffic_keys().unwrap();
        bench.client.writer().write_all(b"under new keys").unwrap();
        bench.up().unwrap();
        assert_eq!(bench.plain, b"under new keys");
        bench.engine.seal(b"and so are we", RECORD_BYTES, &mut bench.out).unwrap();
        bench.down();
        bench.client_reads(b"and so are we");
    }
}

#[test]
fn a_record_that_was_touched_is_an_error_that_the_peer_is_told() {
    for version in VERSIONS {
        let mut bench = Bench::established(version, 4096);
        bench.client.writer().write_all(b"hello").unwrap();
        let mut wire = Vec::new();
        bench.client.write_tls(&mut wire).unwrap();
        *wire.last_mut().unwrap() ^= 1;
        assert_eq!(bench.feed(&mut wire).unwrap_err(), Error::DecryptError);
        assert!(bench.plain.is_empty());
        let mut wire = bench.out.as_slice();
        bench.client.read_tls(&mut wire).unwrap();
        let told = bench.client.process_new_packets().unwrap_err();
        assert_eq!(told, Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
    }
}

#[test]
fn what_the_handshake_came_to_is_known() {
    let bench = Bench::established(&TLS13, 4096);
    let agreed = bench.engine.agreed();
    assert_eq!((agreed.version, agreed.cipher, agreed.resumed), ("TLSv1.3", "TLS13_AES_256_GCM_SHA384", false));
    let agreed = Bench::established(&TLS12, 4096).engine.agreed();
    assert_eq!((agreed.version, agreed.cipher), ("TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"));
}

#[test]
fn nothing_can_be_sealed_before_the_handshake() {
    let mut bench = Bench::new(&TLS13, 4096);
    assert_eq!(bench.engine.seal(b"x", RECORD_BYTES, &mut bench.out), Err(Error::HandshakeNotComplete));
    assert!(bench.out.is_empty());
}

#[test]
fn messages_behind_a_bad_one_are_not_looked_at() {
    // Without a certificate; the message that says so and the one behind it come in one piece, and in one record where
    // the version allows it.
    for (version, cut) in VERSIONS.into_iter().flat_map(|version| CUTS.map(|cut| (version, cut))) {
        let mut bench = Bench::with(&guarded(), version, cut);
        let error = loop {
            match bench.up() {
                Ok(()) => bench.down(),
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::NoCertificatesPresented);
        let mut wire = bench.out.as_slice();
        bench.client.read_tls(&mut wire).unwrap();
        let told = bench.client.process_new_packets().unwrap_err();
        assert_eq!(told, Error::AlertReceived(rustls::AlertDescription::CertificateRequired));
        // Whoever has not heard of it may still want to send.
        let (sealed, closed) =
            (bench.engine.seal(b"x", RECORD_BYTES, &mut bench.out), bench.engine.close(&mut bench.out));
        assert_eq!((sealed, closed), (Err(error.clone()), Err(error)));
    }
}
