//! One end of a connection in the outside world: enough of HTTP/1.1 to be a client or a server, written apart from the proxy's
//! parser so that the two can disagree.

use crate::draw::Draw;
use crate::pattern::{self, Way};
use crate::plan::Framing;
use ringferry::tls::{Engine, Trusted, cipher_order, client_config};
use ringferry::wire::{Intake, Outlet, shake};
use ringferry_runtime::net::{Mode, Stream};
use ringferry_runtime::time::{Alarm, Sleep};
use ringferry_runtime::{Group, Handle};
use std::pin::pin;
use std::time::Duration;

/// Nobody in the proxy waits this long: who has got nothing by then has been forgotten.
const PATIENCE: Duration = Duration::from_secs(1800);

/// How a connection ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The other side closed it.
    Ended,
    /// It was reset, or could not be had.
    Reset,
    /// Nothing came for [`PATIENCE`].
    Forgotten,
}

/// A head, as far as it matters.
#[derive(Debug)]
pub(crate) struct Head {
    /// The three words of the first line.
    pub(crate) first: [String; 3],
    fields: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// How its body is delimited, and how long it is if that is told.
    pub(crate) fn framing(&self, is_request: bool) -> (Framing, u64) {
        match (self.field("transfer-encoding"), self.field("content-length")) {
            (Some(_), _) => (Framing::Chunked, 0),
            (None, Some(length)) => (Framing::Length, length.parse().expect("a length")),
            (None, None) if is_request => (Framing::Length, 0),
            (None, None) => (Framing::Close, 0),
        }
    }
}

/// One end of a connection.
pub(crate) struct End {
    pub(crate) outlet: Outlet,
    pub(crate) reader: Reader,
}

/// What comes in.
pub(crate) struct Reader {
    intake: Intake,
    handle: Handle,
    bytes: Vec<u8>,
    /// It rests this long before each receive.
    pub(crate) rest: Duration,
}

impl End {
    pub(crate) fn new(stream: Stream) -> End {
        let handle = stream.handle().clone();
        let intake = Intake::plain(stream.receiver(Mode::Once(Group::Body)));
        let reader = Reader { intake, handle, bytes: Vec::new(), rest: Duration::ZERO };
        End { outlet: Outlet::plain(stream), reader }
    }

    /// Makes the handshake of TLS as a client of `name`.
    pub(crate) async fn secure(&mut self, name: &str) -> Result<(), Broken> {
        let config = client_config(&cipher_order(true), Trusted::Anyone, &[]).expect("a configuration");
        let engine = Engine::client(config, name.to_owned().try_into().expect("a name")).expect("an engine");
        let mut alarm = Alarm::new(&self.reader.handle);
        alarm.set(PATIENCE);
        match alarm.guard(pin!(shake(&mut self.outlet, &mut self.reader.intake, engine, &[], None))).await {
            Ok(Ok(plain)) => {
                self.reader.bytes.extend_from_slice(&plain);
                Ok(())
            }
            Ok(Err(_)) => Err(Broken::Reset),
            Err(_) => Err(Broken::Forgotten),
        }
    }

    pub(crate) async fn send(&self, bytes: Vec<u8>) -> Result<(), Broken> {
        send(&self.outlet, bytes).await
    }
}

/// Sends all of `bytes`, or finds that nobody takes them.
pub(crate) async fn send(outlet: &Outlet, bytes: Vec<u8>) -> Result<(), Broken> {
    let mut alarm = Alarm::new(outlet.stream().handle());
    alarm.set(PATIENCE);
    match alarm.guard(pin!(outlet.send_whole(bytes))).await {
        Ok((Ok(()), _)) => Ok(()),
        Ok((Err(_), _)) => Err(Broken::Reset),
        Err(_) => Err(Broken::Forgotten),
    }
}

/// A body on its way.
pub(crate) struct Body {
    pub(crate) id: u32,
    pub(crate) way: Way,
    pub(crate) framing: Framing,
    /// Bytes that go.
    pub(crate) len: u32,
    /// Bytes of a piece, at the most.
    pub(crate) piece_max: u64,
    /// More was announced than goes.
    pub(crate) is_cut: bool,
}

impl Body {
    /// Sends it behind `out`, piece by piece, with rests between some of them.
    pub(crate) async fn send(self, outlet: &Outlet, mut out: Vec<u8>, draw: &mut Draw) -> Result<(), Broken> {
        let Body { id, way, framing, len, piece_max, is_cut } = self;
        let mut offset = 0;
        while offset < len {
            let count = draw.within(1, piece_max).min(u64::from(len - offset)) as usize;
            let piece = pattern::bytes(id, way, offset.into(), count);
            if framing == Framing::Chunked {
                out.extend_from_slice(format!("{count:x}\r\n").as_bytes());
                out.extend_from_slice(&piece);
                out.extend_from_slice(b"\r\n");
            } else {
                out.extend_from_slice(&piece);
            }
            offset += count as u32;
            if draw.once_in(2) {
                send(outlet, std::mem::take(&mut out)).await?;
            }
            if draw.once_in(16) {
                Sleep::new(outlet.stream().handle(), Duration::from_millis(draw.within(1, 900))).await;
            }
        }
        if framing == Framing::Chunked && !is_cut {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        send(outlet, out).await
    }
}

impl Reader {
    /// Receives once.
    async fn fill(&mut self) -> Result<(), Broken> {
        if self.rest > Duration::ZERO {
            Sleep::new(&self.handle, self.rest).await;
        }
        let mut alarm = Alarm::new(&self.handle);
        alarm.set(PATIENCE);
        match alarm.guard(pin!(self.intake.recv())).await {
            Ok(Ok(Some(received))) => {
                self.bytes.extend_from_slice(&received);
                Ok(())
            }
            Ok(Ok(None)) => Err(Broken::Ended),
            Ok(Err(_)) => Err(Broken::Reset),
            Err(_) => Err(Broken::Forgotten),
        }
    }

    /// Whether nothing is left of what has come.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What comes next, at most `max` bytes of it.
    pub(crate) async fn some(&mut self, max: u64) -> Result<Vec<u8>, Broken> {
        while self.bytes.is_empty() {
            self.fill().await?;
        }
        let count = (self.bytes.len() as u64).min(max) as usize;
        Ok(self.bytes.drain(..count).collect())
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<String, Broken> {
        loop {
            if let Some(end) = self.bytes.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.bytes.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8(line).expect("text"));
            }
            self.fill().await?;
        }
    }

    /// The next head; an end before its first byte is [`Broken::Ended`] as well.
    pub(crate) async fn head(&mut self) -> Result<Head, Broken> {
        let first = self.line().await?;
        let mut words = first.splitn(3, ' ').map(str::to_owned);
        let first = std::array::from_fn(|_| words.next().unwrap_or_default());
        let mut fields = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { return Ok(Head { first, fields }) };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// A body, piece by piece; true once it is whole. Of what the end of the connection delimits, any end is the end.
    pub(crate) async fn body(
        &mut self,
        (framing, length): (Framing, u64),
        mut piece: impl FnMut(&[u8]),
    ) -> Result<(), Broken> {
        match framing {
            Framing::Length => self.exactly(length, &mut piece).await,
            Framing::Close => loop {
                match self.some(u64::MAX).await {
                    Ok(bytes) => piece(&bytes),
                    Err(Broken::Ended) => return Ok(()),
                    Err(broken) => return Err(broken),
                }
            },
            Framing::Chunked => loop {
                let line = self.line().await?;
                let length = u64::from_str_radix(&line, 16).expect("the length of a chunk");
                if length == 0 {
                    while !self.line().await?.is_empty() {}
                    return Ok(());
                }
                self.exactly(length, &mut piece).await?;
                assert_eq!(self.line().await?, "", "a chunk is longer than it says");
            },
        }
    }

    async fn exactly(&mut self, mut length: u64, piece: &mut impl FnMut(&[u8])) -> Result<(), Broken> {
        while length > 0 {
            let bytes = self.some(length).await?;
            length -= bytes.len() as u64;
            piece(&bytes);
        }
        Ok(())
    }
}
