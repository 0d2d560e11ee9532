//! What a site does with TLS. Paths are as configured; what is in the files is read by `tls`.

use std::path::PathBuf;
use std::time::Duration;

/// How a site takes TLS connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteTls {
    /// TLS ends here.
    Terminate(Termination),
    /// Routed by SNI, never decrypted.
    Passthrough,
}

impl SiteTls {
    /// Whether somebody in front of us may end TLS instead: not where the server does, nor where a client has to show a
    /// certificate, which nobody else can vouch for.
    pub fn may_end_in_front(&self) -> bool {
        matches!(self, SiteTls::Terminate(termination) if termination.client_ca.is_none())
    }
}

/// What a site needs to end TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Termination {
    /// At least one; several for keys of several kinds.
    pub certificates: Vec<CertificateSource>,
    /// Authorities that a client's certificate has to come from; `None` asks for none.
    pub client_ca: Option<PathBuf>,
}

/// Where certificates and their keys lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateSource {
    /// `cert` with the chain, the site's own certificate first, and `key`; both may be the same file. An OCSP response
    /// is taken from the path of `cert` with `.ocsp` appended, if that exists.
    Files {
        /// PEM, one or more certificates.
        cert: PathBuf,
        /// PEM, one private key.
        key: PathBuf,
    },
    /// A folder with certificates and keys in any layout, one level of folders below it included; what belongs
    /// together is seen by the keys, and which site it is for by the names.
    Folder(PathBuf),
    /// Issued by our own authority, for the hosts of the site.
    Internal,
}

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// How long a browser remembers it.
    pub max_age: Duration,
    /// Hosts below these as well.
    pub include_subdomains: bool,
    /// The owner wants to be on the lists that browsers come with.
    pub preload: bool,
}

/// How a server is reached by TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// The name that is asked for (SNI) and that the certificate has to be for: a host name or an address.
    pub name: String,
    /// Who may have issued its certificate.
    pub trust: Trust,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Those of the authorities that the system trusts.
    System,
    /// Those of the authorities in this PEM file alone.
    Authorities(PathBuf),
    /// Anybody's: the connection is encrypted, and nobody knows to whom.
    Anyone,
}
