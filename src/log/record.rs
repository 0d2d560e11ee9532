//! What one line of the access log says about one exchange.

use crate::tls::Agreed;
use std::net::IpAddr;

/// One exchange, at its end. Borrowed from whoever served it; byte strings are as the peer sent them, unchecked.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Wall clock at the end, milliseconds since 1970.
    pub unix_ms: u64,
    /// The client: the peer, or the address that trusted proxies vouch for.
    pub client: IpAddr,
    /// `Host` or the authority of the target; empty where there was none.
    pub host: &'a [u8],
    /// As received; empty where no request line could be read. `TCP` and `TLS` for connections that are passed on.
    pub method: &'a [u8],
    /// As received, query included.
    pub target: &'a [u8],
    /// `HTTP/1.1`; empty where no request line could be read.
    pub version: &'a str,
    /// What the client was answered; 0 where nothing was.
    pub status: u16,
    /// Bytes of the request body.
    pub bytes_in: u64,
    /// Bytes of the response body.
    pub bytes_out: u64,
    /// Empty where there was none.
    pub user_agent: &'a [u8],
    /// Empty where there was none.
    pub referer: &'a [u8],
    /// From the first byte of the request to the last of the response.
    pub total_us: u64,
    /// Connecting to the server; `None` on a connection that was kept, or when none was made.
    pub connect_us: Option<u64>,
    /// From the request sent to the first byte of the response.
    pub first_byte_us: Option<u64>,
    /// The server that answered, as configured; empty where none did.
    pub upstream: &'a str,
    /// Tries on other connections or servers before this one.
    pub retries: u32,
    /// The site's name; empty where no site was found.
    pub site: &'a str,
    /// The route's path; empty where no route was found.
    pub path: &'a str,
    /// Why the exchange failed, in a word or two; `None` when it did not.
    pub error: Option<&'static str>,
    /// The exchange became a tunnel (WebSocket and other upgrades).
    pub tunnel: bool,
    /// What the handshake of the client's connection came to; `None` without TLS.
    pub tls: Option<&'a Agreed>,
}
