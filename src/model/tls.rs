//! What a site does with TLS. Paths are as configured; what is in the files is read by `tls`.

use std::path::PathBuf;

/// How a site takes TLS connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteTls {
    /// TLS ends here.
    Terminate(Termination),
    /// Routed by SNI, never decrypted.
    Passthrough,
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
}
