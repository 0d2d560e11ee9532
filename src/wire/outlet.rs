//! The sending half of a connection.

use super::Secure;
use super::intake::Through;
use ringferry_runtime::Chunk;
use ringferry_runtime::net::{SendAll, SendWhole, Stream};
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
    secure: Option<Rc<Through>>,
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
        Outlet { stream, secure: None }
    }

    /// What goes out is encrypted from here on.
    pub(super) fn secure(&mut self, through: Rc<Through>) {
        self.secure = Some(through);
    }

    /// The connection beneath.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What is known of the TLS connection, where there is one.
    pub fn tls(&self) -> Option<&Secure> {
        self.secure.as_deref().map(|through| &through.secure)
    }

    /// The connection, where nothing stands between us and the bytes: they may be spliced.
    pub fn as_plain(&self) -> Option<&Stream> {
        self.secure.is_none().then_some(&self.stream)
    }

    /// Sends a chunk whole; one send at a time.
    pub fn send_whole(&self, chunk: impl Into<Chunk>) -> Sending {
        match &self.secure {
            None => Sending::Whole(self.stream.send_whole(chunk)),
            Some(through) => self.sealed(through, [Some(chunk.into())]),
        }
    }

    /// Sends up to three chunks, in order and whole; one send at a time.
    pub fn send_all(&self, chunks: [Option<Chunk>; 3]) -> SendingAll {
        match &self.secure {
            None => SendingAll::All(self.stream.send_all(chunks)),
            Some(through) => SendingAll::Whole(self.sealed(through, chunks)),
        }
    }

    fn sealed<const N: usize>(&self, through: &Through, chunks: [Option<Chunk>; N]) -> Sending {
        match through.secure.seal(chunks, self.stream.handle()) {
            Ok(records) => Sending::Whole(self.stream.send_whole(records)),
            Err(_) => Sending::Refused,
        }
    }

    /// Says that nothing more comes, and waits for nothing: the connection is about to be closed. For ends that are no
    /// cut.
    pub fn farewell(&self) {
        if let Some(close) = self.tls().and_then(Secure::close) {
            drop(self.stream.send_whole(close));
        }
    }

    /// Ends our direction, and says so first. A peer that takes nothing is not waited for.
    pub async fn shutdown(&self) -> io::Result<()> {
        if let Some(close) = self.tls().and_then(Secure::close) {
            let _ = self.stream.send(close, false).await;
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
