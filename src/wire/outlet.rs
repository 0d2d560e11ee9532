//! The sending half of a connection.

use super::layer::{Layer, Through, Tls};
use crate::tls::Agreed;
use ringferry_runtime::Chunk;
use ringferry_runtime::net::{Counted, Posted, SendAll, SendWhole, Stream};
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// What a connection lets out. Clones are the same connection.
#[derive(Clone)]
pub struct Outlet {
    stream: Stream,
    layer: Layer,
}

/// Sends one chunk whole, and gives back what was sent: with TLS that is not what was given.
pub enum Sending {
    /// On its way.
    Whole(SendWhole),
    /// It could not be encrypted.
    Refused,
}

/// The same for up to three chunks.
pub enum SendingAll {
    /// On their way, as they are.
    All(SendAll),
    /// On their way in one piece.
    Whole(Sending),
}

impl Outlet {
    /// Lets bytes out as they are.
    pub fn plain(stream: Stream) -> Outlet {
        Outlet { stream, layer: Layer::default() }
    }

    /// What goes out is encrypted from here on.
    pub(super) fn secure(&mut self, layer: Layer) {
        self.layer = layer;
    }

    /// The connection beneath.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What the handshake of TLS came to, where there was one.
    pub fn agreed(&self) -> Option<&Rc<Agreed>> {
        self.layer.agreed()
    }

    /// The connection, where nothing of ours stands between us and the bytes: they may be spliced.
    pub fn as_plain(&self) -> Option<&Stream> {
        self.layer.is_plain().then_some(&self.stream)
    }

    /// Sends a chunk whole; one send at a time.
    pub fn send_whole(&self, chunk: impl Into<Chunk>) -> Sending {
        match self.layer.tls() {
            None | Some(Tls::Offloaded(_)) => Sending::Whole(self.stream.send_whole(chunk)),
            Some(Tls::Secure(through)) => self.sealed(through, [Some(chunk.into())]),
        }
    }

    /// Sends a chunk whole, and wakes nobody for it; see [`Stream::post`]. An error where it cannot be encrypted.
    pub fn post(&self, chunk: impl Into<Chunk>, counted: Option<Counted>) -> io::Result<Posted> {
        match self.layer.tls() {
            None | Some(Tls::Offloaded(_)) => Ok(self.stream.post(chunk, counted)),
            Some(Tls::Secure(through)) => Ok(self.stream.post(self.records(through, [Some(chunk.into())])?, counted)),
        }
    }

    /// Sends up to three chunks, in order and whole; one send at a time.
    pub fn send_all(&self, chunks: [Option<Chunk>; 3]) -> SendingAll {
        match self.layer.tls() {
            None | Some(Tls::Offloaded(_)) => SendingAll::All(self.stream.send_all(chunks)),
            Some(Tls::Secure(through)) => SendingAll::Whole(self.sealed(through, chunks)),
        }
    }

    fn sealed<const N: usize>(&self, through: &Through, chunks: [Option<Chunk>; N]) -> Sending {
        match self.records(through, chunks) {
            Ok(records) => Sending::Whole(self.stream.send_whole(records)),
            Err(_) => Sending::Refused,
        }
    }

    fn records<const N: usize>(&self, through: &Through, chunks: [Option<Chunk>; N]) -> io::Result<Vec<u8>> {
        let records = through.secure.seal(chunks, self.stream.handle());
        records.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Says that nothing more comes, and waits for nothing: the connection is about to be closed. For ends that are no
    /// cut.
    pub fn farewell(&self) {
        match self.layer.tls() {
            None => {}
            Some(Tls::Secure(through)) => {
                if let Some(close) = through.secure.close() {
                    drop(self.stream.send_whole(close));
                }
            }
            Some(Tls::Offloaded(offloaded)) => offloaded.close(),
        }
    }

    /// Ends our direction, and says so first. A peer that takes nothing is not waited for.
    pub async fn shutdown(&self) -> io::Result<()> {
        match self.layer.tls() {
            None => {}
            Some(Tls::Secure(through)) => {
                if let Some(close) = through.secure.close() {
                    let _ = self.stream.send(close, false).await;
                }
            }
            Some(Tls::Offloaded(offloaded)) => offloaded.close(),
        }
        self.stream.shutdown(Shutdown::Write)
    }
}

impl Future for Sending {
    type Output = (io::Result<()>, Chunk);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Sending::Whole(sending) => Pin::new(sending).poll(cx),
            Sending::Refused => Poll::Ready((Err(io::ErrorKind::InvalidData.into()), Chunk::Static(&[]))),
        }
    }
}

impl Future for SendingAll {
    type Output = (io::Result<()>, [Option<Chunk>; 3]);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            SendingAll::All(sending) => Pin::new(sending).poll(cx),
            SendingAll::Whole(sending) => {
                Pin::new(sending).poll(cx).map(|(result, chunk)| (result, [Some(chunk), None, None]))
            }
        }
    }
}
