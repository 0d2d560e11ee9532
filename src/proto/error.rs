//! What went wrong with an exchange: whose fault, where, what; which status the client gets; whether another try is
//! safe. These decisions are made here and nowhere else.

use ringferry_parser::h1::{HeadError, chunked::ChunkError};
use ringferry_parser::tls::HelloError;
use std::fmt;

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// Whose fault it is.
    pub side: Side,
    /// How far the exchange had come.
    pub stage: Stage,
    /// What happened.
    pub cause: Cause,
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Downstream,
    /// The server's, or that of the way to it.
    Upstream,
    /// Ours.
    Internal,
}

/// How far an exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The request head is read.
    RequestHead,
    /// A route and a server are chosen.
    Route,
    /// A connection to the server is made.
    Connect,
    /// The request is sent, its body read.
    Request,
    /// The response head is awaited.
    ResponseHead,
    /// The response is on its way to the client: no other status can be sent any more.
    ResponseBody,
    /// The connection has become a tunnel.
    Tunnel,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The peer closed the connection where a message could have begun: not a byte of one had come.
    Closed,
    /// The peer closed the connection within a message.
    Truncated,
    /// The connection broke.
    Io,
    /// Nothing happened for too long.
    TimedOut,
    /// Nobody listens there.
    Refused,
    /// A malformed head.
    Head(HeadError),
    /// A malformed chunk.
    Chunk(ChunkError),
    /// A malformed trailer section.
    Trailers(HeadError),
    /// A request body larger than the route takes.
    BodyTooLarge,
    /// The handshake of TLS failed.
    Handshake,
    /// A certificate that nobody vouches for, or that is for another name.
    BadCertificate,
    /// Plain HTTP where TLS is spoken.
    PlainOnTls,
    /// No site has the name that a TLS client asks for.
    UnknownName,
    /// A ClientHello that cannot be understood.
    Hello(HelloError),
    /// No PROXY header, or a bad one, where one has to be.
    ProxyHeader,
    /// A peer whose PROXY headers are not believed.
    ProxyPeer,
    /// No site answers for the host.
    UnknownHost,
    /// The site has no route for the path.
    NoRoute,
    /// Two readings of the path choose different routes, or it has none.
    AmbiguousPath,
    /// The client may not come there.
    Denied,
    /// The client comes more often than it may; when it may again, in seconds.
    TooFast(u16),
    /// The client has as many requests in flight as it may.
    ClientBusy,
    /// As many requests are in flight as there may be.
    Busy,
    /// No descriptor was left for a connection to the server.
    NoDescriptor,
    /// A method that a reverse proxy does not serve.
    MethodNotAllowed,
    /// The request has come through this proxy before.
    Loop,
    /// No server of the pool is up.
    NoServer,
    /// The server's name has no address.
    NotResolved,
    /// Too many requests wait for a server already.
    QueueFull,
    /// A maximum of our own is reached.
    Overloaded,
    /// There is not enough memory below the ceiling.
    NoMemory,
    /// More interim responses than are taken.
    TooManyInterims,
    /// A switch of protocols that the client did not ask for.
    UnaskedSwitch,
    /// The drain was over before the exchange was.
    CutOff,
    /// A bug of ours.
    Bug,
}

/// When a request may be sent again after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// In any case: the server has seen nothing of it.
    Always,
    /// When doing it twice is the same as doing it once.
    IfIdempotent,
    /// Never.
    Never,
}

impl Error {
    /// An error of the client.
    pub fn downstream(stage: Stage, cause: Cause) -> Error {
        Error { side: Side::Downstream, stage, cause }
    }

    /// An error of the server.
    pub fn upstream(stage: Stage, cause: Cause) -> Error {
        Error { side: Side::Upstream, stage, cause }
    }

    /// An error of our own.
    pub fn internal(stage: Stage, cause: Cause) -> Error {
        Error { side: Side::Internal, stage, cause }
    }

    /// What the client is answered; `None` when nothing sensible can be said any more: just close.
    pub fn status(&self) -> Option<u16> {
        use {Cause as C, Side as S};
        if matches!(self.stage, Stage::ResponseBody | Stage::Tunnel) {
            return None;
        }
        Some(match (self.side, self.cause) {
            (S::Downstream, C::Closed | C::Truncated | C::Io) => return None,
            // There is nobody to talk HTTP to.
            (S::Downstream, C::Handshake | C::BadCertificate | C::UnknownName | C::Hello(_)) => return None,
            (S::Downstream, C::ProxyHeader | C::ProxyPeer) => return None,
            (S::Downstream, C::TimedOut) => 408,
            (S::Downstream, C::Head(error)) => status_of_head(error),
            (_, C::BodyTooLarge) => 413,
            (_, C::UnknownHost) => 421,
            (_, C::NoRoute) => 404,
            (_, C::AmbiguousPath) => 400,
            (_, C::Denied) => 403,
            (_, C::TooFast(_) | C::ClientBusy) => 429,
            (_, C::MethodNotAllowed) => 405,
            (_, C::Loop) => 508,
            (
                _,
                C::NoServer | C::NotResolved | C::QueueFull | C::Overloaded | C::Busy | C::NoDescriptor | C::NoMemory,
            ) => 503,
            (S::Upstream, C::TimedOut) => 504,
            (S::Upstream, _) => 502,
            (S::Downstream, _) => 400,
            (S::Internal, _) => 500,
        })
    }

    /// Whether sending the request again, perhaps to another server, could do harm.
    pub fn retry_safe(&self) -> Retry {
        use {Cause as C, Stage as T};
        match (self.side, self.stage, self.cause) {
            (Side::Upstream, T::Connect, _) => Retry::Always,
            // A server that stays silent may be at work: only a connection that ended says that it is not.
            (Side::Upstream, T::Request | T::ResponseHead, C::Closed | C::Io) => Retry::IfIdempotent,
            _ => Retry::Never,
        }
    }

    /// In how many seconds the client may try again, where it is told so.
    pub fn retry_after_s(&self) -> Option<u16> {
        match self.cause {
            Cause::TooFast(seconds) => Some(seconds),
            // Any of them may end in the next moment, and a second is the least that can be said.
            Cause::ClientBusy | Cause::Busy | Cause::NoDescriptor => Some(1),
            // It has waited as long as a head may take, and others have as well.
            Cause::NoMemory => Some(5),
            _ => None,
        }
    }

    /// The cause in a word or two, for the log.
    pub fn label(&self) -> &'static str {
        match (self.side, self.cause) {
            (Side::Downstream, Cause::Closed) => "client closed",
            (Side::Downstream, Cause::Truncated) => "client closed early",
            (Side::Downstream, Cause::Io) => "client connection broke",
            (Side::Downstream, Cause::TimedOut) => "client timed out",
            (_, Cause::Closed) => "server closed",
            (_, Cause::Truncated) => "server closed early",
            (_, Cause::Io) => "server connection broke",
            (_, Cause::TimedOut) if self.stage == Stage::Connect => "connect timed out",
            (_, Cause::TimedOut) => "server timed out",
            (_, Cause::Refused) => "connection refused",
            (_, Cause::Head(error) | Cause::Trailers(error)) => error.label(),
            (_, Cause::Chunk(error)) => error.label(),
            (_, Cause::BodyTooLarge) => "body too large",
            (_, Cause::Handshake) => "TLS handshake failed",
            (_, Cause::BadCertificate) => "certificate not trusted",
            (_, Cause::PlainOnTls) => "plain HTTP to a TLS port",
            (_, Cause::UnknownName) => "unknown server name",
            (_, Cause::Hello(error)) => error.label(),
            (_, Cause::ProxyHeader) => "bad PROXY header",
            (_, Cause::ProxyPeer) => "peer not in from",
            (_, Cause::UnknownHost) => "unknown host",
            (_, Cause::NoRoute) => "no route",
            (_, Cause::AmbiguousPath) => "ambiguous path",
            (_, Cause::Denied) => "client not allowed",
            (_, Cause::TooFast(_)) => "over its rate",
            (_, Cause::ClientBusy) => "too many requests of this client",
            (_, Cause::Busy) => "too many requests",
            (_, Cause::NoDescriptor) => "no descriptor left",
            (_, Cause::MethodNotAllowed) => "method not allowed",
            (_, Cause::Loop) => "request loop",
            (_, Cause::NoServer) => "no server up",
            (_, Cause::NotResolved) => "name not resolved",
            (_, Cause::QueueFull) => "queue full",
            (_, Cause::Overloaded) => "overloaded",
            (_, Cause::NoMemory) => "memory is short",
            (_, Cause::TooManyInterims) => "too many interim responses",
            (_, Cause::UnaskedSwitch) => "unasked protocol switch",
            (_, Cause::CutOff) => "cut off",
            (_, Cause::Bug) => "internal error",
        }
    }
}

fn status_of_head(error: HeadError) -> u16 {
    match error {
        HeadError::Bad(_) => 400,
        HeadError::TargetTooLong => 414,
        HeadError::TooLarge | HeadError::TooManyFields => 431,
        HeadError::MethodTooLong | HeadError::UnknownTransferCoding => 501,
        HeadError::UnsupportedVersion => 505,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use ringferry_parser::h1::Bad;
    use {Cause as C, Retry as R, Side::*, Stage as T};

    #[track_caller]
    fn check(side: Side, stage: Stage, cause: Cause, status: Option<u16>, retry: Retry) {
        let error = Error { side, stage, cause };
        assert_eq!((error.status(), error.retry_safe()), (status, retry), "{error:?}");
    }

    #[test]
    fn a_client_is_told_what_it_did_wrong() {
        check(Downstream, T::RequestHead, C::Head(Bad::HostMissing.into()), Some(400), R::Never);
        check(Downstream, T::RequestHead, C::Head(HeadError::TargetTooLong), Some(414), R::Never);
        check(Downstream, T::RequestHead, C::Head(HeadError::TooLarge), Some(431), R::Never);
        check(Downstream, T::RequestHead, C::Head(HeadError::TooManyFields), Some(431), R::Never);
        check(Downstream, T::RequestHead, C::Head(HeadError::UnsupportedVersion), Some(505), R::Never);
        check(Downstream, T::RequestHead, C::Head(HeadError::UnknownTransferCoding), Some(501), R::Never);
        check(Downstream, T::RequestHead, C::TimedOut, Some(408), R::Never);
        check(Downstream, T::RequestHead, C::Closed, None, R::Never);
        check(Downstream, T::Request, C::TimedOut, Some(408), R::Never);
        check(Downstream, T::Request, C::Chunk(ChunkError::Size), Some(400), R::Never);
        check(Downstream, T::Request, C::BodyTooLarge, Some(413), R::Never);
        check(Downstream, T::Request, C::Truncated, None, R::Never);
        check(Downstream, T::Route, C::UnknownHost, Some(421), R::Never);
        check(Downstream, T::Route, C::AmbiguousPath, Some(400), R::Never);
        check(Downstream, T::Route, C::NoRoute, Some(404), R::Never);
        check(Downstream, T::Route, C::MethodNotAllowed, Some(405), R::Never);
        check(Downstream, T::Route, C::Loop, Some(508), R::Never);
        check(Downstream, T::Route, C::Denied, Some(403), R::Never);
        check(Downstream, T::Route, C::TooFast(7), Some(429), R::Never);
        check(Downstream, T::Route, C::ClientBusy, Some(429), R::Never);
    }

    #[test]
    fn a_server_that_fails_is_a_bad_gateway() {
        check(Upstream, T::Connect, C::Refused, Some(502), R::Always);
        check(Upstream, T::Connect, C::TimedOut, Some(504), R::Always);
        check(Upstream, T::Connect, C::NotResolved, Some(503), R::Always);
        check(Upstream, T::Route, C::NoServer, Some(503), R::Never);
        check(Upstream, T::Route, C::QueueFull, Some(503), R::Never);
        check(Upstream, T::Request, C::Io, Some(502), R::IfIdempotent);
        check(Upstream, T::ResponseHead, C::Closed, Some(502), R::IfIdempotent);
        check(Upstream, T::ResponseHead, C::Truncated, Some(502), R::Never);
        check(Upstream, T::ResponseHead, C::TimedOut, Some(504), R::Never);
        check(Upstream, T::ResponseHead, C::Head(Bad::StatusLine.into()), Some(502), R::Never);
        check(Upstream, T::ResponseHead, C::UnaskedSwitch, Some(502), R::Never);
    }

    #[test]
    fn nothing_can_be_said_once_a_response_has_begun() {
        check(Upstream, T::ResponseBody, C::Truncated, None, R::Never);
        check(Upstream, T::ResponseBody, C::TimedOut, None, R::Never);
        check(Upstream, T::Tunnel, C::Io, None, R::Never);
        check(Internal, T::ResponseBody, C::Bug, None, R::Never);
        check(Internal, T::Request, C::Bug, Some(500), R::Never);
        check(Internal, T::RequestHead, C::Overloaded, Some(503), R::Never);
        check(Internal, T::Route, C::NoMemory, Some(503), R::Never);
        check(Internal, T::Route, C::Busy, Some(503), R::Never);
        check(Internal, T::Connect, C::NoDescriptor, Some(503), R::Never);
    }
}
