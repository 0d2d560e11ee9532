//! One TLS connection as an engine: what was received goes in, bytes of the application and bytes to be sent come out.
//! Knows no socket and no deadline, and keeps no buffer beyond what of a record or a handshake message has come so far.

use super::Keys;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{ClientConfig, CommonState, Error, HandshakeKind, ProtocolVersion, ServerConfig};
use std::sync::Arc;

/// A TLS connection, ours to serve or to use.
pub struct Engine {
    side: Side,
    /// Received and not yet understood: part of a record, or of a handshake message that takes several.
    pub(super) waiting: Vec<u8>,
    is_established: bool,
    peer_closed: bool,
    /// Nothing more can be understood or said. rustls must not be asked again: it may look for messages in bytes that
    /// are gone.
    failed: Option<Error>,
    gives_keys: bool,
}

enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What a handshake came to.
#[derive(Clone, Debug, Default)]
pub struct Agreed {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// `TLS13_AES_128_GCM_SHA256`, as rustls calls it.
    pub cipher: &'static str,
    /// An earlier session went on.
    pub resumed: bool,
    /// The name that the client asked for, as routing compares it; filled in by who has read it.
    pub server_name: Option<Box<str>>,
    /// Who the client is, by its certificate: see [`subject`](super::subject).
    pub client_subject: Option<Box<str>>,
}

/// What a step of the engine came to.
enum Step {
    /// There may be more to do.
    Again,
    /// Nothing more without more bytes of the peer.
    Wait,
}

/// Bytes that a record adds to what it carries: its header, the nonce of TLS 1.2 or the type of TLS 1.3, the tag.
const RECORD_OVERHEAD: usize = 5 + 8 + 16;
/// Bytes that a record carries at most (RFC 8446 section 5.1).
pub const RECORD_BYTES: usize = 16 * 1024;
const RECORD_HEADER: usize = 5;

/// Bytes that are enough for `plain` bytes in records of `piece` bytes.
pub fn sealed_len(plain: usize, piece: usize) -> usize {
    plain + (plain / piece + 1) * RECORD_OVERHEAD
}

impl Engine {
    /// Our side of a connection that a client has opened.
    pub fn server(config: Arc<ServerConfig>) -> Result<Engine, Error> {
        let gives_keys = config.enable_secret_extraction;
        Ok(Engine { gives_keys, ..Engine::new(Side::Server(UnbufferedServerConnection::new(config)?)) })
    }

    /// Our side of a connection to the server of this name.
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Engine, Error> {
        Ok(Engine::new(Side::Client(UnbufferedClientConnection::new(config, name)?)))
    }

    fn new(side: Side) -> Engine {
        Engine { side, waiting: Vec::new(), is_established: false, peer_closed: false, failed: None, gives_keys: false }
    }

    /// Whether the handshake is over.
    pub fn is_established(&self) -> bool {
        self.is_established
    }

    /// Whether the peer has said that it sends no more. Without that, the end of its bytes is a cut.
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// What the handshake came to.
    pub fn agreed(&self) -> Agreed {
        let state = self.state();
        let subject = state.peer_certificates().and_then(|chain| super::subject(chain.first()?));
        Agreed {
            version: if state.protocol_version() == Some(ProtocolVersion::TLSv1_3) { "TLSv1.3" } else { "TLSv1.2" },
            cipher: state.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown"),
            resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
            server_name: None,
            client_subject: subject.map(String::into).filter(|_| matches!(self.side, Side::Server(_))),
        }
    }

    /// Takes in what was received, which is decrypted where it lies. Appends the application's bytes to `plain`, and to
    /// `out` what is to be sent; also after an error, which the peer is told.
    pub fn receive(&mut self, mut received: &mut [u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Error> {
        self.check()?;
        if !self.waiting.is_empty() {
            // The rest of a record is added to its beginning, so that what follows need not be copied. A handshake
            // message in several records has to lie in one piece.
            let count = if self.is_established { missing(&self.waiting).min(received.len()) } else { received.len() };
            let (rest, others) = received.split_at_mut(count);
            self.waiting.extend_from_slice(rest);
            received = others;
            self.digest(plain, out)?;
            if !self.waiting.is_empty() && !received.is_empty() {
                self.waiting.extend_from_slice(received);
                return self.digest(plain, out);
            }
        }
        if received.is_empty() && self.is_established {
            return Ok(());
        }
        let used = self.run(received, plain, out)?;
        self.waiting.extend_from_slice(&received[used..]);
        Ok(())
    }

    /// Understands what waits, as far as it can be.
    fn digest(&mut self, plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let used = self.run(&mut waiting, plain, out)?;
        // An idle connection keeps no memory for what it has received.
        if used < waiting.len() {
            waiting.drain(..used);
            self.waiting = waiting;
        }
        Ok(())
    }

    /// Appends `plain` to `out`, sealed in records of at most `piece` bytes; before it what is owed to the peer.
    pub fn seal(&mut self, plain: &[u8], piece: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        for piece in plain.chunks(piece) {
            self.write(out, sealed_len(piece.len(), RECORD_BYTES), |side, waiting, room| match side {
                Side::Server(server) => encrypt(server.process_tls_records(waiting), Some(piece), room),
                Side::Client(client) => encrypt(client.process_tls_records(waiting), Some(piece), room),
            })?;
        }
        Ok(())
    }

    /// Appends to `out` that we send no more.
    pub fn close(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.write(out, RECORD_OVERHEAD + 2, |side, waiting, room| match side {
            Side::Server(server) => encrypt(server.process_tls_records(waiting), None, room),
            Side::Client(client) => encrypt(client.process_tls_records(waiting), None, room),
        })
    }

    /// Has `write` fill a place of `room` bytes, or of as many as it then asks for, at the end of `out`.
    fn write(
        &mut self,
        out: &mut Vec<u8>,
        mut room: usize,
        mut write: impl FnMut(&mut Side, &mut [u8], &mut [u8]) -> Result<Written, Error>,
    ) -> Result<(), Error> {
        self.check()?;
        loop {
            let start = out.len();
            out.resize(start + room, 0);
            let written = write(&mut self.side, &mut self.waiting, &mut out[start..]);
            match written {
                Ok(Written::Whole(count)) => {
                    out.truncate(start + count);
                    return Ok(());
                }
                Ok(Written::Part(count)) => out.truncate(start + count),
                Ok(Written::TooSmall(required)) => {
                    out.truncate(start);
                    room = required.max(room);
                }
                Err(error) => {
                    out.truncate(start);
                    return Err(error);
                }
            }
        }
    }

    /// Runs until more bytes are needed. Returns how many of `records` are used up.
    fn run(&mut self, records: &mut [u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut used = 0;
        loop {
            match self.step(&mut records[used..], plain, out) {
                (count, Ok(Step::Again)) => used += count,
                (count, Ok(Step::Wait)) => return Ok(used + count),
                (_, Err(error)) => {
                    self.alert(out);
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// Appends the alert that tells the peer of an error. Asked once more than there is something to be sent, rustls would
    /// look for the messages behind the bad one, in records that are not there.
    fn alert(&mut self, out: &mut Vec<u8>) {
        while self.state().wants_write() {
            if !matches!(self.step(&mut [], &mut Vec::new(), out), (_, Ok(Step::Again))) {
                return;
            }
        }
    }

    /// Whether somebody else may go on with the connection now: it was made for that, it is established, and all that has
    /// come is understood.
    pub fn gives_keys(&self) -> bool {
        self.gives_keys
            && self.is_established
            && !self.peer_closed
            && self.failed.is_none()
            && self.waiting.is_empty()
            && !self.state().wants_write()
    }

    /// The keys to go on with, where [`Engine::gives_keys`] says so. A client that asks for new keys together with the end
    /// of its handshake is not answered any more, and loses its connection: nobody does that.
    pub fn into_keys(self) -> Result<Keys, Error> {
        let Side::Server(server) = self.side else { return Err(Error::HandshakeNotComplete) };
        let version = server.protocol_version().ok_or(Error::HandshakeNotComplete)?;
        let (secrets, _) = server.dangerous_into_kernel_connection()?;
        Ok(Keys::new(version, secrets))
    }

    fn state(&self) -> &CommonState {
        match &self.side {
            Side::Server(server) => server,
            Side::Client(client) => client,
        }
    }

    fn check(&self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn step(&mut self, records: &mut [u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> (usize, Result<Step, Error>) {
        let seen = Seen { is_established: &mut self.is_established, peer_closed: &mut self.peer_closed };
        match &mut self.side {
            Side::Server(server) => act(server.process_tls_records(records), seen, plain, out),
            Side::Client(client) => act(client.process_tls_records(records), seen, plain, out),
        }
    }
}

/// What is seen to happen on the way.
struct Seen<'a> {
    is_established: &'a mut bool,
    peer_closed: &'a mut bool,
}

/// Does what the connection asks for. Returns how many bytes of the records are used up.
fn act<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    seen: Seen<'_>,
    plain: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> (usize, Result<Step, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    plain.extend_from_slice(record.payload);
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(Step::Again),
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            // Asked with no room it tells how much it needs.
            let required = match data.encode(&mut []) {
                Err(EncodeError::InsufficientSize(error)) => error.required_size,
                _ => 0,
            };
            let start = out.len();
            out.resize(start + required, 0);
            match data.encode(&mut out[start..]) {
                Ok(_) => Ok(Step::Again),
                Err(_) => Err(Error::General("a handshake message did not fit".to_owned())),
            }
        }
        // It is in `out`, which is sent before anything else.
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::Again)
        }
        Ok(ConnectionState::BlockedHandshake) => Ok(Step::Wait),
        Ok(ConnectionState::WriteTraffic(_)) => {
            *seen.is_established = true;
            Ok(Step::Wait)
        }
        Ok(ConnectionState::PeerClosed) => {
            *seen.peer_closed = true;
            Ok(Step::Again)
        }
        Ok(ConnectionState::Closed) => {
            *seen.peer_closed = true;
            Ok(Step::Wait)
        }
        Ok(_) => Err(Error::General("early data was never offered".to_owned())),
    };
    (discard, step)
}

/// How much of what was to be written is there.
enum Written {
    Whole(usize),
    /// Something that had to go before it: there is more to do.
    Part(usize),
    /// The place has to have this many bytes.
    TooSmall(usize),
}

/// Writes records with `plain`, or the close, into `room`.
fn encrypt<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    plain: Option<&[u8]>,
    room: &mut [u8],
) -> Result<Written, Error> {
    use rustls::unbuffered::EncryptError;
    match status.state? {
        ConnectionState::WriteTraffic(mut traffic) => {
            let written = match plain {
                Some(plain) => traffic.encrypt(plain, room),
                None => traffic.queue_close_notify(room),
            };
            match written {
                Ok(count) => Ok(Written::Whole(count)),
                Err(EncryptError::InsufficientSize(error)) => Ok(Written::TooSmall(error.required_size)),
                Err(EncryptError::EncryptExhausted) => Err(Error::EncryptError),
            }
        }
        ConnectionState::EncodeTlsData(mut data) => match data.encode(room) {
            Ok(count) => Ok(Written::Part(count)),
            Err(EncodeError::InsufficientSize(error)) => Ok(Written::TooSmall(error.required_size)),
            Err(EncodeError::AlreadyEncoded) => Ok(Written::Part(0)),
        },
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Ok(Written::Part(0))
        }
        // The peer's close says nothing about our side.
        ConnectionState::PeerClosed => Ok(Written::Part(0)),
        ConnectionState::Closed if plain.is_none() => Ok(Written::Whole(0)),
        _ => Err(Error::HandshakeNotComplete),
    }
}

/// How many bytes the record lacks that begins with these.
fn missing(start: &[u8]) -> usize {
    match *start {
        [_, _, _, high, low, ..] => {
            let whole = RECORD_HEADER + usize::from(u16::from_be_bytes([high, low]));
            // What is no beginning of a record is told by the engine.
            if whole > start.len() { whole - start.len() } else { usize::MAX }
        }
        // The length first: it is not far.
        _ => usize::MAX,
    }
}
