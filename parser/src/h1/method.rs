//! Request methods: those whose meaning a proxy must know, and all others.

/// A request method. Names are case-sensitive (RFC 9110 section 9.1): `get` is not GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// CONNECT
    Connect,
    /// OPTIONS
    Options,
    /// TRACE
    Trace,
    /// PATCH
    Patch,
    /// Any other token; it is forwarded as it is.
    Other,
}

impl Method {
    /// The longest method that is taken; the longest registered one has 17 letters.
    pub const BYTES_MAX: usize = 64;

    /// The method that `name` names.
    pub fn of(name: &str) -> Method {
        match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "CONNECT" => Method::Connect,
            "OPTIONS" => Method::Options,
            "TRACE" => Method::Trace,
            "PATCH" => Method::Patch,
            _ => Method::Other,
        }
    }

    /// Whether sending it twice does what sending it once does (RFC 9110 section 9.2.2). An unknown one may not.
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Method::Post | Method::Patch | Method::Connect | Method::Other)
    }

    /// Whether its response never has a body.
    pub fn is_head(self) -> bool {
        self == Method::Head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_methods_that_may_be_repeated_are_idempotent() {
        let repeatable = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"];
        for name in ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "get", "PURGE"] {
            assert_eq!(Method::of(name).is_idempotent(), repeatable.contains(&name), "{name}");
        }
    }
}
