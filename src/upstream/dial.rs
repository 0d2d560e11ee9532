//! Making a connection to a server.

use super::idle::Connection;
use crate::proto::error::{Cause, Error, Stage};
use crate::relay::Inbox;
use crate::shared::{Resolution, ServerCell};
use crate::wire::{Intake, Outlet};
use ringferry_runtime::net::{Mode, Stream};
use ringferry_runtime::time::{Alarm, Elapsed};
use ringferry_runtime::{Group, Handle};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

/// Addresses of a name that one attempt tries.
const ADDRESSES_MAX: usize = 3;

/// Connects to `server` within `timeout`, over all of its addresses.
pub(super) async fn dial(server: &ServerCell, timeout: Duration, handle: &Handle) -> Result<Box<Connection>, Error> {
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
    // The request is sent at its own pace: the server's time to answer begins once it has all of it.
    alarm.clear();
    let intake = Intake::plain(stream.receiver(Mode::Once(Group::Head)));
    Ok(Box::new(Connection { outlet: Outlet::plain(stream), intake, inbox: Inbox::Empty, alarm, bulky: false }))
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
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Cause::Refused,
        io::ErrorKind::TimedOut => Cause::TimedOut,
        _ => Cause::Io,
    }
}
