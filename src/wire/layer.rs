//! What stands between a connection and its bytes. Both halves have the same.

use super::Secure;
use super::offload::Offloaded;
use crate::tls::Agreed;
use ringferry_runtime::net::Stream;
use std::rc::Rc;

/// Nothing, or TLS. Of the size of a pointer: there are two for each idle connection.
#[derive(Clone, Default)]
pub(super) struct Layer(Option<Rc<Tls>>);

/// TLS.
pub(super) enum Tls {
    /// Ours.
    Secure(Box<Through>),
    /// The kernel's.
    Offloaded(Offloaded),
}

/// TLS of ours, and the connection that alerts go out on.
pub(super) struct Through {
    pub(super) stream: Stream,
    pub(super) secure: Secure,
}

impl Layer {
    pub(super) fn of(tls: Tls) -> Layer {
        Layer(Some(Rc::new(tls)))
    }

    /// `None` where nothing stands between.
    pub(super) fn tls(&self) -> Option<&Tls> {
        self.0.as_deref()
    }

    /// Bytes come and go on the socket as those above see them.
    pub(super) fn is_plain(&self) -> bool {
        !matches!(self.tls(), Some(Tls::Secure(_)))
    }

    /// What the handshake came to.
    pub(super) fn agreed(&self) -> Option<&Rc<Agreed>> {
        self.tls().map(|tls| match tls {
            Tls::Secure(through) => &through.secure.agreed,
            Tls::Offloaded(offloaded) => &offloaded.agreed,
        })
    }
}
