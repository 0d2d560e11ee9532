//! What stands between a connection and its bytes. Both halves have the same.

use super::Secure;
use super::offload::Offloaded;
use crate::tls::Agreed;
use ringferry_runtime::net::Stream;
use std::rc::Rc;

#[derive(Clone)]
pub(super) enum Layer {
    /// Nothing.
    Plain,
    /// TLS.
    Secure(Rc<Through>),
    /// TLS, done by the kernel.
    Offloaded(Rc<Offloaded>),
}

/// TLS, and the connection that alerts go out on.
pub(super) struct Through {
    pub(super) stream: Stream,
    pub(super) secure: Secure,
}

impl Layer {
    /// Bytes come and go on the socket as those above see them.
    pub(super) fn is_plain(&self) -> bool {
        !matches!(self, Layer::Secure(_))
    }

    /// What the handshake came to.
    pub(super) fn agreed(&self) -> Option<&Rc<Agreed>> {
        match self {
            Layer::Plain => None,
            Layer::Secure(through) => Some(&through.secure.agreed),
            Layer::Offloaded(offloaded) => Some(&offloaded.agreed),
        }
    }
}
