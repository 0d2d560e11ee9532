//! What a certificate says: its names, when it is good, and whom it is for. Verifies nothing.

use super::names::Names;
use std::net::IpAddr;
use x509_cert::Certificate;
use x509_cert::der::asn1::OctetString;
use x509_cert::der::{Decode, Encode, Error};
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName, SubjectKeyIdentifier};
use x509_cert::time::Time;

/// What we read of a certificate.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) names: Names,
    /// Seconds since 1970; the certificate is good from here, included,
    pub(super) not_before_s: u64,
    /// to here, included.
    pub(super) not_after_s: u64,
    /// Its SubjectPublicKeyInfo, in DER.
    pub(super) public_key: Vec<u8>,
}

impl Facts {
    pub(super) fn read(der: &[u8]) -> Result<Facts, Error> {
        let certificate = Certificate::from_der(der)?;
        let certificate = certificate.tbs_certificate();
        let names = certificate.get_extension::<SubjectAltName>()?.map_or_else(Vec::new, |(_, names)| names.0);
        let dns = names.iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str()),
            _ => None,
        });
        let addresses = names.iter().filter_map(|name| match name {
            GeneralName::IpAddress(bytes) => address(bytes),
            _ => None,
        });
        let seconds = |time: Time| time.to_unix_duration().as_secs();
        Ok(Facts {
            names: Names::new(dns, addresses),
            not_before_s: seconds(certificate.validity().not_before),
            not_after_s: seconds(certificate.validity().not_after),
            public_key: certificate.subject_public_key_info().to_der()?,
        })
    }
}

/// By what the certificates that an authority issued name it.
pub(super) struct AuthorityFacts {
    /// The common name, which is all of its subject.
    pub(super) name: String,
    /// Its SubjectKeyIdentifier.
    pub(super) key_id: Vec<u8>,
}

impl AuthorityFacts {
    /// `None` where one of them is missing, or of another form than [`Authority`](super::Authority) gives its own.
    pub(super) fn read(der: &[u8]) -> Result<Option<AuthorityFacts>, Error> {
        let certificate = Certificate::from_der(der)?;
        let certificate = certificate.tbs_certificate();
        let constraints = certificate.get_extension::<BasicConstraints>()?;
        let key_id = certificate.get_extension::<SubjectKeyIdentifier>()?;
        // What is issued has to repeat the subject byte for byte, so its encoding counts.
        let name = match certificate.subject().common_name()? {
            Some(DirectoryString::Utf8String(name)) if certificate.subject().len() == 1 => Some(name),
            _ => None,
        };
        let is_authority = constraints.is_some_and(|(_, constraints)| constraints.ca);
        Ok(match (name, key_id) {
            (Some(name), Some((_, key_id))) if is_authority => {
                Some(AuthorityFacts { name, key_id: key_id.0.as_bytes().to_vec() })
            }
            _ => None,
        })
    }
}

fn address(bytes: &OctetString) -> Option<IpAddr> {
    let bytes = bytes.as_bytes();
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// The subject of a certificate as text (RFC 4514), the most specific part first: `CN=laptop,O=Home`. Visible ASCII
/// only, so that it can stand in a header field: every other byte is `\` and two hexadecimal digits.
pub fn subject(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let text = certificate.tbs_certificate().subject().to_string();
    let visible = |byte: u8| (b' '..=b'~').contains(&byte);
    let escaped = text.bytes().map(|byte| match visible(byte) {
        true => char::from(byte).to_string(),
        false => format!("\\{byte:02x}"),
    });
    Some(escaped.collect())
}
