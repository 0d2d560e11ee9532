//! Real handshakes between rustls and rustls, in memory.

use super::{Authority, GOOD, HOME, Made, NOW_S, ecdsa, rsa};
use crate::model::{HostPattern, SiteId};
use crate::tls::{
    CertStore, ClientAuth, KEY_LIFETIME_S, Keyring, Pair, Policy, PolicyId, Seed, SitePairs, cipher_order,
    server_config,
};
use rcgen::KeyPair;
use rustls::ProtocolVersion::{TLSv1_2, TLSv1_3};
use rustls::crypto::aws_lc_rs::cipher_suite::{self, *};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, CipherSuite, ClientConfig, ClientConnection, Connection, Error, HandshakeKind, NamedGroup,
    ProtocolVersion, RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite, SupportedProtocolVersion,
};
use std::sync::Arc;

/// What a handshake came to.
pub(super) struct Outcome {
    version: ProtocolVersion,
    suite: CipherSuite,
    /// `None` for a TLS 1.2 session that was resumed.
    group: Option<NamedGroup>,
    alpn: Option<String>,
    resumed: bool,
    /// The certificate that the client got.
    pub(super) certificate: CertificateDer<'static>,
}

/// Runs a handshake and what follows it, tickets, to its end. The server's error is told before the client's.
pub(super) fn shake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>, name: &str) -> Result<Outcome, Error> {
    let mut server = Connection::from(ServerConnection::new(server.clone())?);
    let mut client = Connection::from(ClientConnection::new(client.clone(), name.to_owned().try_into().unwrap())?);
    while client.wants_write() || server.wants_write() {
        send(&mut client, &mut server)?;
        send(&mut server, &mut client)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Outcome {
        version: server.protocol_version().unwrap(),
        suite: server.negotiated_cipher_suite().unwrap().suite(),
        group: server.negotiated_key_exchange_group().map(|group| group.name()),
        alpn: server.alpn_protocol().map(|name| String::from_utf8(name.to_vec()).unwrap()),
        resumed: server.handshake_kind() == Some(HandshakeKind::Resumed),
        certificate: client.peer_certificates().unwrap()[0].clone(),
    })
}

fn send(from: &mut Connection, to: &mut Connection) -> Result<(), Error> {
    let mut wire = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut wire).unwrap();
    }
    let mut rest = wire.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

/// The server of one default site with these pairs.
pub(super) fn server(policy: &Policy, pairs: &[&Made], has_aes: bool) -> Arc<ServerConfig> {
    server_giving_keys(policy, pairs, has_aes, false)
}

/// The same, whose keys may be had.
pub(super) fn server_giving_keys(policy: &Policy, pairs: &[&Made], has_aes: bool, keys: bool) -> Arc<ServerConfig> {
    let pairs: Vec<Arc<Pair>> = pairs.iter().map(|made| made.pair("x.pem")).collect();
    let (certs, _) = CertStore::build([SitePairs { site: SiteId(0), hosts: &[HostPattern::Any], pairs }], NOW_S);
    server_config(&cipher_order(has_aes), Arc::new(certs), policy, &[b"http/1.1"], keys).unwrap()
}

fn policy(keyring: &mut Keyring, auth: ClientAuth) -> Policy {
    keyring.policy(auth, 0, &Seed::random().unwrap())
}

pub(super) fn open() -> Policy {
    policy(&mut Keyring::default(), ClientAuth::open())
}

/// For those with a certificate of [`HOME`].
pub(super) fn guarded() -> Policy {
    policy(&mut Keyring::default(), ClientAuth::required(HOME.pem.as_bytes()).unwrap())
}

/// A client; it keeps its tickets from one handshake to the next.
pub(super) struct Client {
    /// The certificate of the authority that it trusts, in PEM.
    pub(super) trusts: String,
    pub(super) suites: Vec<SupportedCipherSuite>,
    groups: Vec<&'static dyn SupportedKxGroup>,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Vec<&'static str>,
    shows: Option<Made>,
}

impl Client {
    pub(super) fn new(versions: &[&'static SupportedProtocolVersion]) -> Client {
        let CryptoProvider { cipher_suites: suites, kx_groups: groups, .. } = default_provider();
        let trusts = HOME.pem.clone();
        Client { trusts, suites, groups, versions: versions.to_vec(), alpn: vec![], shows: None }
    }

    pub(super) fn config(self) -> Arc<ClientConfig> {
        let provider = CryptoProvider { cipher_suites: self.suites, kx_groups: self.groups, ..default_provider() };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusts.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(provider.into());
        let config = config.with_protocol_versions(&self.versions).unwrap().with_root_certificates(roots);
        let mut config = match self.shows {
            None => config.with_no_client_auth(),
            Some(Made { chain, key }) => {
                let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
                config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

fn der(made: &Made) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(made.chain.as_bytes()).unwrap()
}

#[test]
fn both_versions_are_spoken_and_the_hybrid_exchange_is_first() {
    let server = server(&open(), &[&ecdsa(&["a.test"])], true);
    let groups = |client: &mut Client, group| client.groups = vec![group];
    for (versions, group, expect) in [
        (&[&TLS13, &TLS12][..], None, (TLSv1_3, NamedGroup::X25519MLKEM768)),
        (&[&TLS13], Some(kx_group::X25519), (TLSv1_3, NamedGroup::X25519)),
        (&[&TLS13], Some(kx_group::SECP256R1), (TLSv1_3, NamedGroup::secp256r1)),
        (&[&TLS12], None, (TLSv1_2, NamedGroup::X25519)),
        (&[&TLS12], Some(kx_group::SECP384R1), (TLSv1_2, NamedGroup::secp384r1)),
    ] {
        let mut client = Client::new(versions);
        if let Some(group) = group {
            groups(&mut client, group);
        }
        let outcome = shake(&server, &client.config(), "a.test").unwrap();
        assert_eq!((outcome.version, outcome.group), (expect.0, Some(expect.1)));
    }
}

#[test]
fn the_protocol_is_one_that_both_speak() {
    let server = server(&open(), &[&ecdsa(&["a.test"])], true);
    let alpn = |alpn: &[&'static str]| {
        let client = Client { alpn: alpn.to_vec(), ..Client::new(&[&TLS13]) };
        shake(&server, &client.config(), "a.test").map(|outcome| outcome.alpn)
    };
    assert_eq!(alpn(&["h2", "http/1.1"]), Ok(Some("http/1.1".to_owned())));
    assert_eq!(alpn(&[]), Ok(None));
    assert_eq!(alpn(&["h2"]), Err(Error::NoApplicationProtocol));
}

#[test]
fn the_processor_decides_who_chooses_the_suite() {
    #[track_caller]
    fn check(has_aes: bool, offered: &[SupportedCipherSuite], expect: SupportedCipherSuite) {
        let server = server(&open(), &[&ecdsa(&["a.test"])], has_aes);
        let client = Client { suites: offered.to_vec(), ..Client::new(&[&TLS13, &TLS12]) };
        assert_eq!(shake(&server, &client.config(), "a.test").unwrap().suite, expect.suite());
    }
    let (aes, aes256, chacha) = (TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256);
    check(false, &[aes256, aes, chacha], chacha);
    check(false, &[aes256, aes], aes);
    check(true, &[aes256, aes, chacha], aes256);
    check(true, &[chacha, aes], chacha);
    let old = [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256];
    check(false, &old, old[1]);
    check(true, &old, old[0]);
}

#[test]
fn a_client_gets_the_certificate_for_its_name_and_its_suites() {
    let (a, rsa_a, wild) = (ecdsa(&["a.test"]), rsa(&["a.test"]), ecdsa(&["*.b.test"]));
    let sites = [
        (HostPattern::Exact("a.test".into()), vec![rsa_a.pair("rsa"), a.pair("ecdsa")]),
        (HostPattern::Wildcard("b.test".into()), vec![wild.pair("wild")]),
    ];
    let sites = (0..).map(SiteId).zip(&sites).map(|(site, (host, pairs))| SitePairs {
        site,
        hosts: std::slice::from_ref(host),
        pairs: pairs.clone(),
    });
    let certs = Arc::new(CertStore::build(sites, NOW_S).0);
    let server = server_config(&cipher_order(true), certs, &open(), &[], false).unwrap();
    let both = Client::new(&[&TLS13, &TLS12]).config();
    let old = Client::new(&[&TLS12]).config();
    let rsa_suites = vec![cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let rsa_only = Client { suites: rsa_suites, ..Client::new(&[&TLS12]) }.config();
    let got = |client, name| shake(&server, client, name).map(|outcome| outcome.certificate);
    assert_eq!(got(&both, "a.test"), Ok(der(&a)));
    assert_eq!(got(&both, "x.b.test"), Ok(der(&wild)));
    assert_eq!(got(&old, "a.test"), Ok(der(&a)));
    assert_eq!(got(&rsa_only, "a.test"), Ok(der(&rsa_a)));
    assert!(got(&both, "c.test").is_err());
}

#[test]
fn a_session_is_resumed_by_whichever_configuration_has_the_keys() {
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let mut keyring = Keyring::default();
        let made = ecdsa(&["a.test", "b.test"]);
        let first = server(&policy(&mut keyring, ClientAuth::open()), &[&made], true);
        // After a reload: another configuration, and the policy comes with the same keys.
        let second = server(&policy(&mut keyring, ClientAuth::open()), &[&made], true);
        let client = Client::new(versions).config();
        let resumed = |server, name| shake(server, &client, name).unwrap().resumed;
        assert!(!resumed(&first, "a.test"));
        assert!(resumed(&first, "a.test"));
        assert!(resumed(&second, "a.test"));
        assert!(!resumed(&second, "b.test"));

        let stranger = server(&open(), &[&made], true);
        assert!(!resumed(&stranger, "a.test"));
    }
}

#[test]
fn a_session_outlives_one_rotation_of_the_keys() {
    let mut keyring = Keyring::default();
    let server = server(&policy(&mut keyring, ClientAuth::open()), &[&ecdsa(&["a.test"])], true);
    let client = Client::new(&[&TLS12]).config();
    let resumed = || shake(&server, &client, "a.test").unwrap().resumed;
    let mut rotate = |now_s| keyring.rotate(now_s, Seed::random).map(|()| keyring.due_s());
    assert!(!resumed());
    assert_eq!(rotate(KEY_LIFETIME_S - 1), Ok(Some(KEY_LIFETIME_S)));
    assert_eq!(rotate(KEY_LIFETIME_S), Ok(Some(2 * KEY_LIFETIME_S)));
    // The client gets a new ticket with it, of the new key.
    assert!(resumed());
    assert_eq!(rotate(2 * KEY_LIFETIME_S), Ok(Some(3 * KEY_LIFETIME_S)));
    assert!(resumed());
    rotate(3 * KEY_LIFETIME_S).unwrap();
    rotate(4 * KEY_LIFETIME_S).unwrap();
    assert!(!resumed());
}

#[test]
fn only_certificates_of_the_authorities_are_let_in() {
    let made = ecdsa(&["a.test"]);
    let (clients, others) = (Authority::new("Clients"), Authority::new("Others"));
    let auth = ClientAuth::required(clients.pem.as_bytes()).unwrap();
    let server = server(&policy(&mut Keyring::default(), auth), &[&made], true);
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let enter = |shows: Option<(&Authority, (i32, i32))>| {
            let shows = shows.map(|(authority, years)| authority.issue(&[], years, &KeyPair::generate().unwrap()));
            shake(&server, &Client { shows, ..Client::new(versions) }.config(), "a.test").map(drop)
        };
        assert_eq!(enter(Some((&clients, GOOD))), Ok(()));
        assert_eq!(enter(None), Err(Error::NoCertificatesPresented));
        assert_eq!(enter(Some((&others, GOOD))), Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)));
        let ended = enter(Some((&clients, (2001, 2002))));
        assert!(matches!(ended, Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))), "{ended:?}");
    }
}

#[test]
fn a_ticket_from_before_the_policy_changed_opens_nothing() {
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let (made, clients) = (ecdsa(&["a.test"]), Authority::new("Clients"));
        let mut keyring = Keyring::default();
        let auth = || ClientAuth::required(clients.pem.as_bytes()).unwrap();
        let open = server(&policy(&mut keyring, ClientAuth::open()), &[&made], true);
        let closed = server(&policy(&mut keyring, auth()), &[&made], true);

        let stranger = Client::new(versions).config();
        assert!(!shake(&open, &stranger, "a.test").unwrap().resumed);
        assert!(shake(&open, &stranger, "a.test").unwrap().resumed);
        assert_eq!(shake(&closed, &stranger, "a.test").map(drop), Err(Error::NoCertificatesPresented));

        // Who was let in is let in again while the policy stays, and is asked again when it has changed.
        let shows = Some(clients.issue(&[], GOOD, &KeyPair::generate().unwrap()));
        let friend = Client { shows, ..Client::new(versions) }.config();
        assert!(!shake(&closed, &friend, "a.test").unwrap().resumed);
        assert!(shake(&server(&policy(&mut keyring, auth()), &[&made], true), &friend, "a.test").unwrap().resumed);
        let more = format!("{}{}", clients.pem, Authority::new("More").pem);
        let more = policy(&mut keyring, ClientAuth::required(more.as_bytes()).unwrap());
        assert!(!shake(&server(&more, &[&made], true), &friend, "a.test").unwrap().resumed);
    }
}

#[test]
fn keys_that_nobody_uses_are_forgotten() {
    let mut keyring = Keyring::default();
    let made = ecdsa(&["a.test"]);
    let client = Client::new(&[&TLS13]).config();
    let before = server(&policy(&mut keyring, ClientAuth::open()), &[&made], true);
    shake(&before, &client, "a.test").unwrap();
    drop(before);
    assert_eq!(keyring.due_s(), None);
    let after = server(&policy(&mut keyring, ClientAuth::open()), &[&made], true);
    assert!(!shake(&after, &client, "a.test").unwrap().resumed);
}

#[test]
fn a_policy_is_the_same_whatever_the_order_of_its_authorities() {
    let (a, b) = (Authority::new("A").pem, Authority::new("B").pem);
    let id = |pem: String| ClientAuth::required(pem.as_bytes()).map(|auth| auth.id());
    let both: Result<PolicyId, _> = id(format!("{a}{b}"));
    assert_eq!(id(format!("{b}{a}{b}")), both);
    assert_ne!(id(a.clone()), both);
    assert_ne!(id(a), id(b));
    assert_ne!(both.unwrap(), ClientAuth::open().id());
    assert!(id(String::new()).is_err());
    assert!(id("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()).is_err());
}
