//! The receiving half of a connection.

use super::layer::{Layer, Tls};
use ringferry_runtime::Lent;
use ringferry_runtime::net::{Mode, Receiver, is_control};
use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::task::{Context, Poll, Waker, ready};

/// What a connection brings in.
pub struct Intake {
    receiver: Receiver,
    layer: Layer,
}

/// Bytes that have come.
pub enum Received {
    /// As the kernel left them, in a buffer of the ring.
    Lent(Lent),
    /// Decrypted, in a vector of the core's stock.
    Bytes(Vec<u8>),
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Received::Lent(lent) => lent,
            Received::Bytes(bytes) => bytes,
        }
    }
}

impl From<Lent> for Received {
    fn from(lent: Lent) -> Received {
        Received::Lent(lent)
    }
}

impl Intake {
    /// Takes in bytes as they come.
    pub fn plain(receiver: Receiver) -> Intake {
        Intake { receiver, layer: Layer::default() }
    }

    /// What comes in is encrypted from here on.
    pub(super) fn secure(&mut self, layer: Layer) {
        self.layer = layer;
    }

    /// The receiver beneath.
    pub(super) fn receiver(&mut self) -> &mut Receiver {
        &mut self.receiver
    }

    /// Nothing of ours stands between us and the bytes: they may be spliced. Where they are not all that may come, as the
    /// end of TLS in the kernel, splicing stops, and a receive tells why.
    pub fn is_plain(&self) -> bool {
        self.layer.is_plain()
    }

    /// See [`Receiver::set_mode`].
    pub fn set_mode(&mut self, mode: Mode) {
        self.receiver.set_mode(mode);
    }

    /// See [`Receiver::poll_quiet`]. For connections that [are plain](Intake::is_plain).
    pub fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<Option<Lent>> {
        debug_assert!(self.is_plain());
        self.receiver.poll_quiet(cx)
    }

    /// Whether something has come since it was armed: bytes, the end, or an error. With TLS it may be nothing but
    /// a message that concerns nobody above.
    pub fn is_ready(&self) -> bool {
        self.receiver.is_ready()
    }

    /// Whether a connection that nobody waits on has anything to say to those above.
    pub fn is_spent(&mut self) -> bool {
        // Sessions to resume come when the handshake is long over.
        self.is_ready() && (self.is_plain() || self.poll_recv(&mut Context::from_waker(Waker::noop())).is_ready())
    }

    /// See [`Receiver::poll_broken`].
    pub fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.receiver.poll_broken(cx)
    }

    /// The next bytes; `None` at the end of the stream. Nothing is lost when it is not waited for to the end. With TLS
    /// an end that the peer has not told is an error.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Received>>> {
        let through = match self.layer.tls() {
            None => return self.receiver.poll_recv(cx).map_ok(|lent| lent.map(Received::Lent)),
            Some(Tls::Secure(through)) => through,
            Some(Tls::Offloaded(offloaded)) if offloaded.peer_closed() => return Poll::Ready(Ok(None)),
            Some(Tls::Offloaded(offloaded)) => {
                return Poll::Ready(match ready!(self.receiver.poll_recv(cx)) {
                    Ok(Some(lent)) => Ok(Some(Received::Lent(lent))),
                    Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
                    Err(error) if is_control(&error) => offloaded.listen().map(|()| None),
                    Err(error) => Err(error),
                });
            }
        };
        loop {
            if through.secure.peer_closed() {
                return Poll::Ready(Ok(None));
            }
            let Some(lent) = ready!(self.receiver.poll_recv(cx))? else {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            };
            match through.secure.open(lent, through.stream.handle()) {
                Ok(plain) if plain.is_empty() => through.stream.handle().give_bytes(plain),
                Ok(plain) => return Poll::Ready(Ok(Some(Received::Bytes(plain)))),
                Err(error) => {
                    // It is on its way, and nobody waits for it: the connection ends whether it arrives or not.
                    drop(through.stream.send_whole(through.secure.last_words()));
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
            }
        }
    }

    /// See [`Intake::poll_recv`].
    pub async fn recv(&mut self) -> io::Result<Option<Received>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }
}
