//! An origin that a test scripts: remembers every request, answers as told, one thread for each connection.

use super::tls::server_config;
use super::wire::{Message, Stream, Wire};
use super::{Gate, Identity, TempDir, TlsStream, WAIT, wait_until};
use rustls::ServerConfig;
use socket2::Socket;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A running origin; it stops when the value is dropped.
pub(crate) struct Origin {
    place: Place,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
    _dir: Option<TempDir>,
}

/// A connection in the hands of a script.
pub(crate) struct Exchange {
    pub(crate) wire: Wire,
    /// The how-manieth connection of the origin this is, from 1.
    pub(crate) number: usize,
    shared: Arc<Shared>,
}

#[derive(Clone)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
    Tls(SocketAddr),
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
    Tls(TcpListener, Arc<ServerConfig>),
}

type Script = dyn Fn(&mut Exchange) -> io::Result<()> + Send + Sync;

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Message>,
    connections: Vec<Stream>,
    stopped: bool,
}

impl Origin {
    /// Answers each whole request with the bytes that `answer` makes of it, and keeps the connection.
    pub(crate) fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Origin {
        Origin::scripted(answer_all(answer))
    }

    /// Answers everything with its name.
    pub(crate) fn named(name: &str) -> Origin {
        let bytes = ok(name);
        Origin::answering(move |_| bytes.clone())
    }

    /// Answers `served`, each request once `gate` lets it pass.
    pub(crate) fn gated(gate: &Arc<Gate>) -> Origin {
        let gate = gate.clone();
        Origin::answering(move |_| {
            gate.pass();
            ok("served")
        })
    }

    /// Speaks no HTTP: sends back what comes, until it ends.
    pub(crate) fn echo() -> Origin {
        Origin::scripted(Exchange::echo)
    }

    /// Switches to a protocol of bare bytes, then runs `then`.
    pub(crate) fn switching(then: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static) -> Origin {
        Origin::scripted(move |exchange| {
            exchange.request()?;
            exchange.switch()?;
            then(exchange)
        })
    }

    /// Runs `script` once for each connection, which ends with it. An error of the script is a connection that ends.
    pub(crate) fn scripted(script: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static) -> Origin {
        Origin::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script)
    }

    /// The same at an address that is known already: an origin that comes back. Somebody's connection may have been given
    /// the port meanwhile; then this waits for its end.
    pub(crate) fn at(
        address: SocketAddr,
        script: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static,
    ) -> Origin {
        let mut listener = TcpListener::bind(address);
        wait_until("the port is free", || {
            if listener.is_err() {
                listener = TcpListener::bind(address);
            }
            listener.is_ok()
        });
        Origin::listening(listener.unwrap(), script)
    }

    /// The same on a port that refused connections until now.
    pub(crate) fn on(port: Socket, script: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static) -> Origin {
        port.listen(128).unwrap();
        Origin::listening(port.into(), script)
    }

    fn listening(
        listener: TcpListener,
        script: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static,
    ) -> Origin {
        let place = Place::Tcp(listener.local_addr().unwrap());
        Origin::start(Listener::Tcp(listener), place, None, Arc::new(script))
    }

    /// Answers on a unix socket.
    pub(crate) fn unix(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Origin {
        let dir = TempDir::new();
        let path = dir.path().join("origin.sock");
        let listener = Listener::Unix(UnixListener::bind(&path).unwrap());
        Origin::start(listener, Place::Unix(path), Some(dir), Arc::new(answer_all(answer)))
    }

    /// Speaks TLS as this identity. The script begins when hands have been shaken.
    pub(crate) fn tls(
        identity: &Identity,
        script: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static,
    ) -> Origin {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let place = Place::Tls(listener.local_addr().unwrap());
        Origin::start(Listener::Tls(listener, server_config(identity)), place, None, Arc::new(script))
    }

    fn start(listener: Listener, place: Place, dir: Option<TempDir>, script: Arc<Script>) -> Origin {
        let shared = Arc::new(Shared::default());
        let accepting = std::thread::spawn({
            let shared = shared.clone();
            move || accept_all(&listener, &shared, &script)
        });
        Origin { place, shared, accepting: Some(accepting), _dir: dir }
    }

    /// As `upstream` in a configuration takes it.
    pub(crate) fn url(&self) -> String {
        match &self.place {
            Place::Tcp(address) => format!("http://{address}"),
            Place::Unix(path) => format!("unix:{}", path.display()),
            Place::Tls(address) => format!("https://{address}"),
        }
    }

    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        match self.place {
            Place::Tcp(address) | Place::Tls(address) => address,
            Place::Unix(_) => panic!("a unix socket has no port"),
        }
    }

    /// The requests so far, all connections together.
    pub(crate) fn requests(&self) -> Vec<Message> {
        self.shared.seen().requests.clone()
    }

    /// The last request so far.
    #[track_caller]
    pub(crate) fn request(&self) -> Message {
        self.requests().pop().expect("a request has come")
    }

    /// Waits until `count` requests have come.
    #[track_caller]
    pub(crate) fn wait_requests(&self, count: usize) -> Vec<Message> {
        let wait = |seen: &mut Seen| seen.requests.len() < count;
        let _ = self.shared.changed.wait_timeout_while(self.shared.seen(), WAIT, wait);
        let requests = self.requests();
        assert!(requests.len() >= count, "{count} requests have not come: {requests:#?}");
        requests
    }

    /// How many connections have been accepted.
    pub(crate) fn connections(&self) -> usize {
        self.shared.seen().connections.len()
    }

    /// Ends all connections and leaves the port closed.
    pub(crate) fn stop(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.shared.seen().stopped = true;
        // Wakes the accept; that it is refused only says that the thread has gone already.
        match &self.place {
            Place::Tcp(address) | Place::Tls(address) => drop(TcpStream::connect(address)),
            Place::Unix(path) => drop(UnixStream::connect(path)),
        }
        let _ = accepting.join();
        self.end_connections();
    }

    /// Ends all connections so far and goes on accepting new ones.
    pub(crate) fn end_connections(&self) {
        for stream in &self.shared.seen().connections {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    /// A script that has panicked while it held this has its own message; here it would hide that.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Exchange {
    /// The next whole request; `None` where the peer has closed instead.
    pub(crate) fn request(&mut self) -> io::Result<Option<Message>> {
        let request = self.wire.try_request()?;
        self.remember(request.as_ref());
        Ok(request)
    }

    /// The head alone; its body is read by the script.
    pub(crate) fn head(&mut self) -> io::Result<Option<Message>> {
        let head = self.wire.try_head()?;
        self.remember(head.as_ref());
        Ok(head)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.try_send(bytes)
    }

    /// Answers that from here on it is a protocol of bare bytes.
    pub(crate) fn switch(&mut self) -> io::Result<()> {
        self.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
    }

    /// Sends back what comes, until it ends.
    pub(crate) fn echo(&mut self) -> io::Result<()> {
        let mut stream = self.wire.stream().try_clone()?;
        io::copy(&mut stream.try_clone()?, &mut stream).map(drop)
    }

    /// Ends the connection with a reset, now.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        self.wire.stream().reset_on_close()?;
        // A reset goes out when the last descriptor closes, so the copy that is kept for `stop` goes as well.
        let (one, other) = UnixStream::pair()?;
        self.shared.seen().connections[self.number - 1] = Stream::Unix(one);
        self.wire = Wire::over(Stream::Unix(other));
        Ok(())
    }

    fn remember(&self, request: Option<&Message>) {
        if let Some(request) = request {
            self.shared.seen().requests.push(request.clone());
            self.shared.changed.notify_all();
        }
    }
}

/// A response with Content-Length.
pub(crate) fn answer(status: &str, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = head(status, fields);
    let _ = write!(bytes, "Content-Length: {}\r\n\r\n", body.len());
    [bytes.as_bytes(), body].concat()
}

pub(crate) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    answer("200 OK", &[("Content-Type", "text/plain")], body)
}

/// A chunked response, a chunk for each part, and trailers.
pub(crate) fn chunked(status: &str, parts: &[&str], trailers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = head(status, &[("Transfer-Encoding", "chunked")]) + "\r\n";
    for part in parts {
        let _ = write!(bytes, "{:x}\r\n{part}\r\n", part.len());
    }
    bytes += "0\r\n";
    for (name, value) in trailers {
        let _ = write!(bytes, "{name}: {value}\r\n");
    }
    (bytes + "\r\n").into_bytes()
}

fn head(status: &str, fields: &[(&str, &str)]) -> String {
    let mut head = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in fields {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head
}

/// A script that answers each whole request with the bytes that `answer` makes of it.
pub(crate) fn answer_all(answer: impl Fn(&Message) -> Vec<u8>) -> impl Fn(&mut Exchange) -> io::Result<()> {
    move |exchange| {
        while let Some(request) = exchange.request()? {
            exchange.send(answer(&request))?;
        }
        Ok(())
    }
}

fn accept_all(listener: &Listener, shared: &Arc<Shared>, script: &Arc<Script>) {
    while let Ok(stream) = listener.accept() {
        let Ok(copy) = stream.try_clone() else { return };
        let number = {
            let mut seen = shared.seen();
            if seen.stopped {
                return;
            }
            seen.connections.push(copy);
            seen.connections.len()
        };
        let (shared, script) = (shared.clone(), script.clone());
        let tls = match listener {
            Listener::Tls(_, config) => Some(config.clone()),
            Listener::Tcp(_) | Listener::Unix(_) => None,
        };
        std::thread::spawn(move || {
            let stream = match (stream, tls) {
                (Stream::Tcp(tcp), Some(config)) => TlsStream::accept(tcp, config).map(Stream::Tls),
                (stream, _) => Ok(stream),
            };
            let Ok(stream) = stream else { return };
            let mut exchange = Exchange { wire: Wire::over(stream), number, shared };
            let _ = script(&mut exchange);
            // The copy that is kept for `stop` holds the socket open, so the end must be said.
            let _ = exchange.wire.stream().shutdown(Shutdown::Both);
        });
    }
}

impl Listener {
    fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener) | Listener::Tls(listener, _) => {
                let stream = listener.accept()?.0;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Listener::Unix(listener) => Ok(Stream::Unix(listener.accept()?.0)),
        }
    }
}
