//! What a connection begins with: a PROXY header where its listener wants one, and which protocol the client speaks.
//!
//! Only for listeners where the client speaks first. It looks at bytes and takes none but those of a PROXY header; how
//! long that may take is up to whoever calls.

use crate::wire::{Inbox, Intake};
use ringferry_parser::Parsed;
use ringferry_parser::detect::{Protocol, detect};
use ringferry_parser::host::normal_text;
use ringferry_parser::proxy_protocol::{self, Addresses, ProxyError};
use ringferry_parser::tls::{HelloError, HelloReader};
use ringferry_runtime::Handle;

/// What the client speaks.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    /// TLS; it asks for this host, as routing compares it.
    Tls(Option<Box<str>>),
    /// HTTP, or what deserves an answer in HTTP.
    Http,
    /// Something else.
    Other,
}

/// Why there is nothing to go on with.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The client has closed, or the connection broke.
    Gone,
    /// It is TLS, and its first message is not to be understood.
    Hello(HelloError),
    /// There is no PROXY header, or a bad one.
    Proxy(ProxyError),
}

/// Waits until it can be told what the client speaks. What it has sent stays in `inbox`.
pub async fn opening(intake: &mut Intake, inbox: &mut Inbox, handle: &Handle) -> Result<Opening, Refused> {
    let mut hello = HelloReader::new();
    loop {
        match detect(inbox.bytes()) {
            Some(Protocol::Tls) => match hello.read(inbox.bytes()).map_err(Refused::Hello)? {
                Parsed::Complete(hello) => {
                    return Ok(Opening::Tls(hello.server_name.map(|name| normal_text(name).into())));
                }
                Parsed::Partial => {}
            },
            Some(Protocol::Http1 | Protocol::Http2) => return Ok(Opening::Http),
            Some(Protocol::Other) => return Ok(Opening::Other),
            None => {}
        }
        more(intake, inbox, handle).await?;
    }
}

/// Takes the PROXY header out of `inbox`. The ends of the connection that it tells; `None` where it leaves that to the
/// connection itself.
pub async fn proxy_header(
    intake: &mut Intake,
    inbox: &mut Inbox,
    handle: &Handle,
) -> Result<Option<Addresses>, Refused> {
    loop {
        match proxy_protocol::parse(inbox.bytes()).map_err(Refused::Proxy)? {
            Parsed::Complete(header) => {
                inbox.consume(header.len, handle);
                return Ok(header.addresses);
            }
            Parsed::Partial => more(intake, inbox, handle).await?,
        }
    }
}

/// Receives more. The readers above bound how much: a hello has a maximum, and so has a header.
async fn more(intake: &mut Intake, inbox: &mut Inbox, handle: &Handle) -> Result<(), Refused> {
    match intake.recv().await {
        Ok(Some(received)) => {
            inbox.add(received, handle);
            Ok(())
        }
        Ok(None) | Err(_) => Err(Refused::Gone),
    }
}
