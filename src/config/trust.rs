//! TLS towards servers: whose certificates are believed, and the name that they have to be for. Written for one server,
//! or for all of a pool.

use super::file::FilePath;
use super::name::{self, Host};
use super::problem::{At, Problems};
use super::reader::{Scalar, Table, Wrong};
use super::server::Use;
use crate::model::{Trust, UpstreamTls};

/// `verify`, `ca` and `sni`, as far as they were written.
#[derive(Default)]
pub(super) struct RawTrust {
    verify: Option<At<bool>>,
    ca: Option<At<FilePath>>,
    sni: Option<At<ServerName>>,
}

impl RawTrust {
    /// Those of `table`, of a pool or of a server.
    pub(super) fn read(table: &Table, problems: &mut Problems) -> RawTrust {
        let raw = RawTrust {
            verify: table.get("verify", problems),
            ca: table.get("ca", problems),
            sni: table.get("sni", problems),
        };
        if let (Some(At { value: false, .. }), Some(ca)) = (&raw.verify, &raw.ca) {
            let hint =
                "remove one of them; with ca alone the certificates of that authority are believed, and no others";
            problems.error(ca.at, "verify = false beside ca: nothing would be checked by it", hint);
        }
        raw
    }

    /// How a server is spoken to whose own words are these, and `pool` those of its pool. A server that names an
    /// authority is checked by it, whatever its pool says.
    pub(super) fn tls(&self, pool: &RawTrust, host: String) -> UpstreamTls {
        let verify = match (&self.verify, &self.ca) {
            (Some(verify), _) => verify.value,
            (None, Some(_)) => true,
            (None, None) => pool.verify.as_ref().is_none_or(|verify| verify.value),
        };
        let trust = match self.ca.as_ref().or(pool.ca.as_ref()) {
            _ if !verify => Trust::Anyone,
            Some(ca) => Trust::Authorities(ca.value.0.clone()),
            None => Trust::System,
        };
        let sni = self.sni.as_ref().or(pool.sni.as_ref());
        UpstreamTls { name: sni.map_or(host, |sni| sni.value.0.clone()), trust }
    }

    /// What is doubtful where TLS is spoken to a server `of` this use, and wrong where it is not.
    pub(super) fn check(&self, tls: bool, of: Use, problems: &mut Problems) {
        if !tls {
            let hint = match of {
                Use::Http => "write https:// in front of the server, or remove it",
                Use::Passthrough | Use::Stream { .. } => "remove it: what is passed on has its own TLS, or none",
            };
            let places = [
                ("verify", self.verify.as_ref().map(|verify| verify.at)),
                ("ca", self.ca.as_ref().map(|ca| ca.at)),
                ("sni", self.sni.as_ref().map(|sni| sni.at)),
            ];
            for (key, at) in places.into_iter().filter_map(|(key, at)| Some((key, at?))) {
                let what = format!("{key} is for TLS to a server, and none is spoken here");
                problems.error(at, what, hint);
            }
        } else if let Some(At { value: false, at }) = self.verify {
            let hint = "name who issued its certificate instead, as ca = \"/etc/ssl/lan-ca.pem\"";
            let what = "verify = false: anybody between here and the server can read and change what is sent";
            problems.warning(at, what, hint);
        }
    }
}

/// What a server's certificate is for: a name, or an address without brackets.
struct ServerName(String);

impl Scalar for ServerName {
    const EXAMPLE: &'static str = "\"app.example.com\"";

    fn from_text(text: &str) -> Result<ServerName, Wrong> {
        Ok(ServerName(match name::host(text)? {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_scalar;
    use super::*;

    #[test]
    fn a_certificate_is_for_a_name_or_an_address() {
        let check = |text, expect| check_scalar(text, |name: ServerName| name.0, expect);
        check("App.Lan.", Ok("app.lan"));
        check("10.0.0.5", Ok("10.0.0.5"));
        check("[::1]", Ok("::1"));
        check("*.lan", Err("\"*.lan\" is not a host name: '*' cannot be in it"));
        check("app:443", Err("\"app:443\" is not a host name: ':' cannot be in it"));
    }
}
