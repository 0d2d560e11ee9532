//! Making a connection to a server.

use super::idle::Connection;
use crate::proto::error::{Cause, Error, Stage};
use crate::room::is_shortage;
use crate::shared::{Resolution, ServerCell};
use crate::snapshot::Reach;
use crate::tls::Engine;
use crate::wire::{Inbox, Intake, Outlet, ShakeError, shake};
use ringferry_runtime::net::{Mode, Stream};
use ringferry_runtime::time::{Alarm, Elapsed};
use ringferry_runtime::{Group, Handle};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

/// Addresses of a name that one attempt tries.
const ADDRESSES_MAX: usize = 3;

/// Connects to `server` within `timeout`, over all of its addresses, and makes the handshake where it is reached by TLS.
pub(super) async fn dial(
    server: &ServerCell,
    reach: &Reach,
    timeout: Duration,
    handle: &Handle,
) -> Result<Box<Connection>, Error> {
    let mut alarm = Alarm::new(handle);
    alarm.set(timeout);
    let resolution = Resolution::clone(&server.resolution());
    let stream = match resolution {
        Resolution::Unix(path) => alarm.guard(pin!(Stream::connect_unix(handle, &path))).await,
        Resolution::Addresses(addresses) => alarm.guard(pin!(first(&addresses, handle))).await,
        Resolution::Unresolved { .. } => return Err(failed(Cause::NotResolved)),
    };
    let stream = match stream {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(failed(cause(&error))),
        Err(Elapsed) => return Err(failed(Cause::TimedOut)),
    };
    let intake = Intake::plain(stream.receiver(Mode::Once(Group::Head)));
    let outlet = Outlet::plain(stream);
    let mut connection = Box::new(Connection { outlet, intake, inbox: Inbox::Empty, alarm, bulky: false, place: None });
    if !matches!(reach, Reach::Plain) {
        Box::pin(secure(&mut connection, reach, handle)).await.map_err(failed)?;
    }
    // The request is sent at its own pace: the server's time to answer begins once it has all of it.
    connection.alarm.clear();
    Ok(connection)
}

/// Makes the handshake, in what is left of the time to connect.
async fn secure(connection: &mut Connection, reach: &Reach, handle: &Handle) -> Result<(), Cause> {
    let Reach::Tls(config, name) = reach else { return Err(Cause::Handshake) };
    let engine = Engine::client(config.clone(), name.clone()).map_err(|_| Cause::Handshake)?;
    let Connection { outlet, intake, inbox, alarm, .. } = connection;
    match alarm.guard(pin!(shake(outlet, intake, engine, &[], None))).await {
        Ok(Ok(plain)) if plain.is_empty() => handle.give_bytes(plain),
        // It speaks before it is asked; whoever waits for an answer will see.
        Ok(Ok(plain)) => *inbox = Inbox::Bytes(plain, 0),
        Ok(Err(ShakeError::Tls(rustls::Error::InvalidCertificate(_)))) => return Err(Cause::BadCertificate),
        Ok(Err(ShakeError::Tls(_))) => return Err(Cause::Handshake),
        Ok(Err(ShakeError::Io(_))) => return Err(Cause::Io),
        Err(Elapsed) => return Err(Cause::TimedOut),
    }
    Ok(())
}

/// The first of the addresses that answers.
async fn first(addresses: &[SocketAddr], handle: &Handle) -> io::Result<Stream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses.iter().take(ADDRESSES_MAX) {
        match Stream::connect(handle, *address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn failed(cause: Cause) -> Error {
    Error::upstream(Stage::Connect, cause)
}

fn cause(error: &io::Error) -> Cause {
    if is_shortage(error) {
        return Cause::NoDescriptor;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Cause::Refused,
        io::ErrorKind::TimedOut => Cause::TimedOut,
        _ => Cause::Io,
    }
}
