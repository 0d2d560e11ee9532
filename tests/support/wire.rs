//! One end of an HTTP/1 connection, for clients and origins alike: sends any bytes, reads strictly framed messages.
//!
//! Written for tests and apart from the proxy's own parser, so that a mistake of one is not hidden by the other.

use super::{TlsStream, WAIT};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A request or a response as it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message {
    /// Request line or status line.
    pub(crate) start: String,
    /// Names as they came; bytes over 127 as the characters of the same number.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// A connected socket of any kind.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(TlsStream),
}

/// One end of a connection.
pub(crate) struct Wire {
    reader: BufReader<Stream>,
}

impl Message {
    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        let code = self.start.split(' ').nth(1).unwrap_or_default();
        code.parse().unwrap_or_else(|_| panic!("not a status line: {:?}", self.start))
    }

    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The values of all fields of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of the only field of this name.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "more than one {name}: {all:?}");
        all.first().copied()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn request_framing(&self) -> Framing {
        self.framing().unwrap_or(Framing::None)
    }

    pub(crate) fn response_framing(&self, method: &str) -> Framing {
        match self.status() {
            100..=199 | 204 | 304 => Framing::None,
            _ if method == "HEAD" => Framing::None,
            _ => self.framing().unwrap_or(Framing::UntilClose),
        }
    }

    fn framing(&self) -> Option<Framing> {
        let length = self.field("content-length");
        match self.field("transfer-encoding") {
            Some(coding) => {
                assert!(coding.eq_ignore_ascii_case("chunked") && length.is_none(), "ambiguous framing: {self:?}");
                Some(Framing::Chunked)
            }
            None => length.map(|length| Framing::Length(length.parse().expect("Content-Length is a number"))),
        }
    }
}

impl Wire {
    pub(crate) fn over(stream: Stream) -> Wire {
        stream.set_timeout(WAIT).unwrap();
        Wire { reader: BufReader::with_capacity(64 << 10, stream) }
    }

    pub(crate) fn connect(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect_timeout(&address, WAIT).unwrap_or_else(|e| panic!("connect {address}: {e}"));
        stream.set_nodelay(true).unwrap();
        Wire::over(Stream::Tcp(stream))
    }

    /// As another client: every address of 127.0.0.0/8 is this machine's.
    pub(crate) fn connect_from(client: [u8; 4], address: SocketAddr) -> Wire {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
        socket.connect_timeout(&address.into(), WAIT).unwrap_or_else(|e| panic!("connect {address}: {e}"));
        socket.set_tcp_nodelay(true).unwrap();
        Wire::over(Stream::Tcp(socket.into()))
    }

    pub(crate) fn connect_unix(path: &Path) -> Wire {
        Wire::over(Stream::Unix(UnixStream::connect(path).unwrap()))
    }

    pub(crate) fn stream(&self) -> &Stream {
        self.reader.get_ref()
    }

    #[track_caller]
    pub(crate) fn tls(&self) -> &TlsStream {
        match self.stream() {
            Stream::Tls(tls) => tls,
            Stream::Tcp(_) | Stream::Unix(_) => panic!("not encrypted"),
        }
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        if let Err(e) = self.try_send(bytes) {
            panic!("send: {e}");
        }
        self
    }

    /// `GET` with only a Host, on a connection that stays open.
    #[track_caller]
    pub(crate) fn get(&mut self, host: &str, target: &str) -> Message {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).response()
    }

    /// The next response, which may be an interim one, to anything but HEAD.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Message {
        self.response_to("GET")
    }

    #[track_caller]
    pub(crate) fn response_to(&mut self, method: &str) -> Message {
        self.try_response(method).unwrap_or_else(|e| panic!("no whole response to {method}: {e}"))
    }

    /// Fails with `UnexpectedEof` or `ConnectionReset` where the connection ends before the response does.
    pub(crate) fn try_response(&mut self, method: &str) -> io::Result<Message> {
        let mut message = self.try_head()?.ok_or(ErrorKind::UnexpectedEof)?;
        let framing = message.response_framing(method);
        message.trailers = self.copy_body(framing, &mut message.body)?;
        Ok(message)
    }

    /// The next request with its body; `None` where the peer has closed instead.
    pub(crate) fn try_request(&mut self) -> io::Result<Option<Message>> {
        let Some(mut message) = self.try_head()? else { return Ok(None) };
        let framing = message.request_framing();
        message.trailers = self.copy_body(framing, &mut message.body)?;
        Ok(Some(message))
    }

    #[track_caller]
    pub(crate) fn head(&mut self) -> Message {
        self.try_head().unwrap_or_else(|e| panic!("no whole head: {e}")).expect("a head, not the end")
    }

    /// A head alone; `None` where the connection has ended cleanly before its first byte.
    pub(crate) fn try_head(&mut self) -> io::Result<Option<Message>> {
        let Some(start) = self.line()? else { return Ok(None) };
        Ok(Some(Message { start, fields: self.fields()?, ..Message::default() }))
    }

    /// Moves a body to `to` and returns the trailers.
    pub(crate) fn copy_body(&mut self, framing: Framing, to: &mut impl Write) -> io::Result<Vec<(String, String)>> {
        match framing {
            Framing::None => {}
            Framing::Length(length) => self.copy_exactly(length, to)?,
            Framing::UntilClose => drop(io::copy(&mut self.reader, to)?),
            Framing::Chunked => loop {
                let line = self.line()?.ok_or(ErrorKind::UnexpectedEof)?;
                let size = line.split(';').next().unwrap_or_default();
                let size = u64::from_str_radix(size, 16).map_err(|_| malformed(&line))?;
                if size == 0 {
                    return self.fields();
                }
                self.copy_exactly(size, to)?;
                match self.line()?.as_deref() {
                    Some("") => {}
                    other => return Err(malformed(&format!("{other:?} after a chunk"))),
                }
            },
        }
        Ok(Vec::new())
    }

    pub(crate) fn read_exactly(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.copy_exactly(length, &mut bytes).map(|()| bytes)
    }

    /// Everything up to the clean end of the connection.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest).map(|_| rest)
    }

    /// The peer ends the connection, and not a byte comes before that.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let rest = self.rest().unwrap_or_else(|e| panic!("the connection does not end cleanly: {e}"));
        assert_eq!(String::from_utf8_lossy(&rest), "", "bytes before the end");
    }

    /// The same, and a reset is an end as well.
    #[track_caller]
    pub(crate) fn expect_gone(&mut self) {
        match self.rest() {
            Ok(rest) => assert_eq!(String::from_utf8_lossy(&rest), "", "bytes before the end"),
            Err(e) => assert_eq!(e.kind(), ErrorKind::ConnectionReset, "{e}"),
        }
    }

    /// For so long nothing comes: no byte and no end.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, time: Duration) {
        self.stream().set_timeout(time).unwrap();
        match self.reader.fill_buf() {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            other => panic!("not silent: {other:?}"),
        }
        self.stream().set_timeout(WAIT).unwrap();
    }

    /// Ends our direction and leaves the other one open.
    pub(crate) fn finish(&mut self) {
        self.stream().shutdown(Shutdown::Write).unwrap();
    }

    fn copy_exactly(&mut self, length: u64, to: &mut impl Write) -> io::Result<()> {
        let copied = io::copy(&mut (&mut self.reader).take(length), to)?;
        if copied == length { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?.ok_or(ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    /// A line without its CRLF; `None` at the end of the connection.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        if self.reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        match line.strip_suffix(b"\r\n") {
            Some(text) => Ok(Some(text.iter().map(|&byte| char::from(byte)).collect())),
            None if line.ends_with(b"\n") => Err(malformed("a bare line feed")),
            None => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Stream {
    pub(crate) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => s.set_read_timeout(Some(timeout)).and(s.set_write_timeout(Some(timeout))),
            Stream::Unix(s) => s.set_read_timeout(Some(timeout)).and(s.set_write_timeout(Some(timeout))),
            Stream::Tls(s) => s.tcp().set_read_timeout(Some(timeout)).and(s.tcp().set_write_timeout(Some(timeout))),
        }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Stream> {
        Ok(match self {
            Stream::Tcp(s) => Stream::Tcp(s.try_clone()?),
            Stream::Unix(s) => Stream::Unix(s.try_clone()?),
            Stream::Tls(s) => Stream::Tls(s.try_clone()?),
        })
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => s.shutdown(how),
            Stream::Unix(s) => s.shutdown(how),
            Stream::Tls(s) => s.shutdown(how),
        }
    }

    /// From now on closing this socket sends a reset instead of an orderly end.
    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => socket2::SockRef::from(s).set_linger(Some(Duration::ZERO)),
            Stream::Tls(s) => socket2::SockRef::from(s.tcp()).set_linger(Some(Duration::ZERO)),
            Stream::Unix(_) => Ok(()),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(s) => s.read(buffer),
            Stream::Unix(s) => s.read(buffer),
            Stream::Tls(s) => s.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(s) => s.write(bytes),
            Stream::Unix(s) => s.write(bytes),
            Stream::Tls(s) => s.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("malformed: {what}"))
}
