//! The handshake of TLS.

use super::layer::{Layer, Through, Tls};
use super::offload::{Offloaded, can_be_offloaded};
use super::{Intake, Outlet, Secure};
use crate::tls::{Agreed, Engine};
use std::io;
use std::rc::Rc;

/// Why there is no TLS connection.
#[derive(Debug)]
pub enum ShakeError {
    /// The two do not agree. The peer has been told, if it was not the peer who said so.
    Tls(rustls::Error),
    /// The connection broke, or ended.
    Io(io::Error),
}

/// Makes a TLS connection of the plain one that `outlet` and `intake` are. `first` is what has come on it already,
/// `server_name` what a client asks for. Returns the application's bytes that came with the end of the handshake.
pub async fn shake(
    outlet: &mut Outlet,
    intake: &mut Intake,
    mut engine: Engine,
    first: &[u8],
    server_name: Option<Box<str>>,
) -> Result<Vec<u8>, ShakeError> {
    let stream = outlet.stream().clone();
    let (mut plain, mut out) = (stream.handle().take_bytes(), Vec::new());
    let mut understood = engine.receive(&mut first.to_vec(), &mut plain, &mut out);
    loop {
        // Sent even after an error, which it tells. Of the two errors, the first explains the other.
        let sent = if out.is_empty() { Ok(()) } else { stream.send_whole(std::mem::take(&mut out)).await.0 };
        understood.map_err(ShakeError::Tls)?;
        sent.map_err(ShakeError::Io)?;
        if engine.is_established() {
            break;
        }
        let Some(mut lent) = intake.receiver().recv().await.map_err(ShakeError::Io)? else {
            return Err(ShakeError::Io(io::ErrorKind::UnexpectedEof.into()));
        };
        understood = engine.receive(&mut lent, &mut plain, &mut out);
    }
    let agreed = Rc::new(Agreed { server_name, ..engine.agreed() });
    let layer = Layer::of(match can_be_offloaded(&engine, &stream) {
        true => Tls::Offloaded(Offloaded::new(engine, agreed, stream).map_err(ShakeError::Io)?),
        false => Tls::Secure(Box::new(Through { stream, secure: Secure::new(engine, agreed) })),
    });
    outlet.secure(layer.clone());
    intake.secure(layer);
    Ok(plain)
}
