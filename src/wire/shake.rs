//! The handshake of TLS.

use super::intake::Through;
use super::{Intake, Outlet, Secure};
use crate::tls::Engine;
use ringferry_runtime::net::{Receiver, Stream};
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

/// Makes a TLS connection of a plain one. `first` is what has come on it already. Returns its two halves, and the
/// application's bytes that came with the end of the handshake.
pub async fn shake(
    stream: Stream,
    mut receiver: Receiver,
    mut engine: Engine,
    first: &[u8],
) -> Result<(Outlet, Intake, Vec<u8>), ShakeError> {
    let handle = stream.handle().clone();
    let (mut plain, mut out) = (handle.take_bytes(), Vec::new());
    let mut understood = engine.receive(&mut first.to_vec(), &mut plain, &mut out);
    loop {
        if !out.is_empty() {
            let (sent, _) = stream.send_whole(std::mem::take(&mut out)).await;
            // Of the two errors, the one that explains the other.
            understood.map_err(ShakeError::Tls)?;
            sent.map_err(ShakeError::Io)?;
        } else {
            understood.map_err(ShakeError::Tls)?;
        }
        if engine.is_established() {
            break;
        }
        let Some(mut lent) = receiver.recv().await.map_err(ShakeError::Io)? else {
            return Err(ShakeError::Io(io::ErrorKind::UnexpectedEof.into()));
        };
        understood = engine.receive(&mut lent, &mut plain, &mut out);
    }
    let through = Rc::new(Through { stream: stream.clone(), secure: Secure::new(engine) });
    Ok((Outlet::secure(stream, through.clone()), Intake::secure(receiver, through), plain))
}
