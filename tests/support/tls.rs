//! TLS over a real socket, for clients and origins alike, by rustls as its own documents show it: the proxy drives it in
//! another way.
//!
//! What is between the two ends stays visible: alerts, the end that was told and the one that was not.

use super::certificates::{HOME, Identity, roots};
use super::wire::{Message, Stream, Wire};
use super::{TempDir, WAIT};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Connection, HandshakeKind, ProtocolVersion, ServerConfig,
    ServerConnection, SupportedProtocolVersion,
};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

/// One end of a TLS connection. Clones are the same end; reading and writing do not wait for each other.
pub(crate) struct TlsStream {
    tcp: TcpStream,
    /// Received and not yet looked at. Only one of the clones reads.
    received: VecDeque<u8>,
    shared: Arc<Shared>,
}

struct Shared {
    connection: Mutex<Connection>,
    /// Held while records are on their way, so that they stay in order.
    sending: Mutex<()>,
}

/// How a client shakes hands. Clones share the sessions that can be resumed.
#[derive(Clone)]
pub(crate) struct TlsClient(ClientConfig);

/// What a client says first, before it has been sent.
pub(crate) struct Hello {
    pub(crate) bytes: Vec<u8>,
    connection: Connection,
}

/// Both versions.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

impl TlsClient {
    /// Trusts [`HOME`], offers both versions and no application protocol.
    pub(crate) fn new() -> TlsClient {
        TlsClient::made(&VERSIONS, &HOME.pem, None)
    }

    /// Trusts the authority of this certificate instead.
    pub(crate) fn trusting(pem: &str) -> TlsClient {
        TlsClient::made(&VERSIONS, pem, None)
    }

    pub(crate) fn of(version: &'static SupportedProtocolVersion) -> TlsClient {
        TlsClient::made(&[version], &HOME.pem, None)
    }

    /// Shows a certificate where one is asked for.
    pub(crate) fn showing(version: &'static SupportedProtocolVersion, identity: &Identity) -> TlsClient {
        TlsClient::made(&[version], &HOME.pem, Some(identity))
    }

    fn made(versions: &[&'static SupportedProtocolVersion], pem: &str, identity: Option<&Identity>) -> TlsClient {
        let builder = ClientConfig::builder_with_provider(default_provider().into()).with_protocol_versions(versions);
        let builder = builder.unwrap().with_root_certificates(roots(pem));
        TlsClient(match identity {
            Some(identity) => {
                builder.with_client_auth_cert(vec![identity.certificate()], identity.private_key()).unwrap()
            }
            None => builder.with_no_client_auth(),
        })
    }

    pub(crate) fn offering(mut self, protocols: &[&str]) -> TlsClient {
        self.0.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Asks for no name.
    pub(crate) fn nameless(mut self) -> TlsClient {
        self.0.enable_sni = false;
        self
    }

    pub(crate) fn hello(&self, name: &str) -> Hello {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut connection = Connection::from(ClientConnection::new(Arc::new(self.0.clone()), name).unwrap());
        let mut bytes = Vec::new();
        connection.write_tls(&mut bytes).unwrap();
        Hello { bytes, connection }
    }

    /// Fails with what the server holds against it: see [`alert`].
    pub(crate) fn try_connect(&self, address: SocketAddr, name: &str) -> io::Result<Wire> {
        let mut tcp = tcp(address);
        let hello = self.hello(name);
        tcp.write_all(&hello.bytes)?;
        hello.shake(tcp)
    }

    #[track_caller]
    pub(crate) fn connect(&self, address: SocketAddr, name: &str) -> Wire {
        self.try_connect(address, name).unwrap_or_else(|e| panic!("no TLS with {name}: {e}"))
    }

    /// One request on a connection of its own, for the host that the connection is for.
    #[track_caller]
    pub(crate) fn get(&self, address: SocketAddr, name: &str, target: &str) -> Message {
        self.connect(address, name).get(name, target)
    }

    /// The alert that a client gets instead of an answer. With TLS 1.3 it may come after the client's handshake.
    #[track_caller]
    pub(crate) fn refusal(&self, address: SocketAddr, name: &str) -> AlertDescription {
        let answer = self.try_connect(address, name).and_then(|mut wire| {
            // That the connection has ended is no answer; the alert before its end is.
            let _ = wire.try_send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n"));
            wire.try_response("GET")
        });
        let error = answer.expect_err("an alert, and no answer");
        alert(&error).unwrap_or_else(|| panic!("not an alert: {error}"))
    }
}

/// A connected socket that waits no longer than anything here.
pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect_timeout(&address, WAIT).unwrap_or_else(|e| panic!("connect {address}: {e}"));
    tcp.set_nodelay(true).unwrap();
    tcp.set_read_timeout(Some(WAIT)).and(tcp.set_write_timeout(Some(WAIT))).unwrap();
    tcp
}

/// The alert that an error is about.
pub(crate) fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// How an origin of this identity shakes hands.
pub(crate) fn server_config(identity: &Identity) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(default_provider().into()).with_protocol_versions(&VERSIONS);
    let builder = builder.unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(vec![identity.certificate()], identity.private_key()).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

impl Hello {
    /// Goes on after its bytes have been sent.
    pub(crate) fn shake(self, tcp: TcpStream) -> io::Result<Wire> {
        Ok(Wire::over(Stream::Tls(TlsStream::shake(tcp, self.connection)?)))
    }
}

impl TlsStream {
    /// An origin's end.
    pub(crate) fn accept(tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<TlsStream> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        TlsStream::shake(tcp, connection.into())
    }

    fn shake(mut tcp: TcpStream, mut connection: Connection) -> io::Result<TlsStream> {
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        let shared = Shared { connection: Mutex::new(connection), sending: Mutex::new(()) };
        Ok(TlsStream { tcp, received: VecDeque::new(), shared: Arc::new(shared) })
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(crate) fn try_clone(&self) -> io::Result<TlsStream> {
        Ok(TlsStream { tcp: self.tcp.try_clone()?, received: VecDeque::new(), shared: self.shared.clone() })
    }

    /// Says that we send no more, and leaves the socket as it is.
    pub(crate) fn say_close(&self) -> io::Result<()> {
        self.write_with(|connection| {
            connection.send_close_notify();
            Ok(())
        })
    }

    /// Changes the keys and asks the peer to do so too: bytes that are for nobody above TLS. Only with TLS 1.3.
    pub(crate) fn renew_keys(&self) -> io::Result<()> {
        self.write_with(|connection| connection.refresh_traffic_keys().map_err(io::Error::other))
    }

    /// Ends our direction, and says so.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Read {
            self.say_close()?;
        }
        self.tcp.shutdown(how)
    }

    pub(crate) fn version(&self) -> Option<ProtocolVersion> {
        self.shared.connection.lock().unwrap().protocol_version()
    }

    pub(crate) fn protocol(&self) -> Option<String> {
        let connection = self.shared.connection.lock().unwrap();
        connection.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned())
    }

    pub(crate) fn is_resumed(&self) -> bool {
        self.shared.connection.lock().unwrap().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether the peer has shown the certificate of `identity`.
    pub(crate) fn shows(&self, identity: &Identity) -> bool {
        let connection = self.shared.connection.lock().unwrap();
        connection.peer_certificates().is_some_and(|chain| chain[0] == identity.certificate())
    }

    /// The name that the client has asked for; for origins.
    pub(crate) fn server_name(&self) -> Option<String> {
        match &*self.shared.connection.lock().unwrap() {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => None,
        }
    }

    /// Sends what `write` has made.
    fn write_with<T>(&self, write: impl FnOnce(&mut Connection) -> io::Result<T>) -> io::Result<T> {
        let _sending = self.shared.sending.lock().unwrap();
        let mut out = Vec::new();
        let written = {
            let mut connection = self.shared.connection.lock().unwrap();
            let written = write(&mut connection)?;
            while connection.wants_write() {
                connection.write_tls(&mut out)?;
            }
            written
        };
        (&self.tcp).write_all(&out).map(|()| written)
    }

    /// Understands some of what has come; nothing at all is the end.
    fn take_in(&mut self) -> io::Result<()> {
        let mut connection = self.shared.connection.lock().unwrap();
        connection.read_tls(&mut self.received)?;
        let understood = connection.process_new_packets();
        drop(connection);
        if let Err(error) = understood {
            // Who has sent nonsense is told, if it still listens.
            let _ = self.write_with(|_| Ok(()));
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        Ok(())
    }
}

impl Read for TlsStream {
    /// The end is an error where the peer has not told it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut piece = [0; 16 << 10];
        loop {
            let read = self.shared.connection.lock().unwrap().reader().read(buffer);
            match read {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            if self.received.is_empty() {
                let count = self.tcp.read(&mut piece)?;
                self.received.extend(&piece[..count]);
            }
            self.take_in()?;
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_with(|connection| connection.writer().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A site of one host with a certificate of its own, of [`HOME`], and one upstream.
pub(crate) fn tls_site(host: &str, origin: &super::Origin, dir: &TempDir) -> String {
    super::site(host, origin) + &HOME.issue(&[host]).put(dir)
}
