//! What can be wrong with certificates and keys: each by name, what it is and what to do about it.

use super::names::Names;
use std::fmt;
use std::time::Duration;
use x509_cert::der::DateTime;

/// Something wrong with a file, with the certificate in it, or with a host that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the file, or the host.
    pub origin: String,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.fault)
    }
}

/// What is wrong. The text is its `Display`, what to do its [`hint`](Fault::hint). Never shows what is in a file of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file cannot be read.
    Unreadable(String),
    /// A folder where a file should be.
    IsFolder,
    /// It holds no certificate.
    NoCertificate,
    /// It holds no private key.
    NoKey,
    /// The private key is encrypted.
    KeyEncrypted,
    /// The PEM text is cut off or garbled.
    Damaged,
    /// A certificate is not one that we understand.
    BadCertificate(String),
    /// The private key is not one that we understand.
    BadKey,
    /// The private key is not that of the certificate.
    Mismatch,
    /// A folder without any certificate that has its key there.
    NoPair,
    /// Nothing that was read gives this host a certificate: its clients are turned away.
    NoneForHost,
    /// The certificate has ended, at this second since 1970.
    Expired(u64),
    /// The certificate begins later, at this second since 1970.
    NotYetValid(u64),
    /// The certificate names no host.
    NoNames,
    /// No certificate of the site is for this host.
    NotCovered {
        /// A host of the site, as it is written in the configuration.
        host: String,
        /// What the certificate is for.
        names: Names,
    },
    /// The file or folder cannot be written.
    Unwritable(String),
    /// What should be our own authority is not, for this reason.
    BadAuthority(Box<Fault>),
    /// The certificate of our own authority without its key.
    AuthorityWithoutKey,
    /// A certificate, but none of an authority of ours.
    NotOurAuthority,
    /// A certificate of our own could not be made.
    NotMade(String),
    /// Nothing says where what outlives the process is to be kept.
    NoStateFolder,
}

impl Fault {
    /// Whether the certificate cannot be used; else it is, and clients may refuse it.
    pub fn is_fatal(&self) -> bool {
        use Fault::*;
        !matches!(self, Expired(_) | NotYetValid(_) | NoNames | NotCovered { .. })
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        use Fault::*;
        match self {
            Unreadable(_) => "see that the path is right and that the user ringferry runs as may read it",
            IsFolder => "name the file in it, or give the folder alone to take all that is in it",
            NoCertificate => "it should be PEM, with -----BEGIN CERTIFICATE----- in it; are cert and key swapped?",
            NoKey => "it should be PEM, with -----BEGIN PRIVATE KEY----- in it; are cert and key swapped?",
            KeyEncrypted => "nobody is there to type its password: openssl pkey -in KEY -out PLAIN_KEY",
            Damaged => "copy it again, whole, from whoever issued it",
            BadCertificate(_) => "see what openssl x509 -text -in FILE says, or have it issued again",
            BadKey => "RSA of 2048 bits and more, ECDSA on P-256, P-384 or P-521, and Ed25519 are understood",
            Mismatch => {
                "the site's own certificate has to be the first in its file, and the key the one it was made with"
            }
            NoPair => "put certificates and their keys into it, as .pem, .crt, .cer or .key files",
            NoneForHost => "name the files of one with cert and key, or put them into the folder that cert names",
            Expired(_) => "renew it; if it is good, see whether the clock of this machine is right",
            NotYetValid(_) => "see whether the clock of this machine is right",
            NoNames => "have it issued with a subjectAltName; clients do not look at the common name",
            NotCovered { .. } => "have one issued with this name, or correct host",
            Unwritable(_) => "see that the user ringferry runs as may write there, or name another folder with state",
            // Never made anew without being asked: people have installed the old one.
            BadAuthority(_) | AuthorityWithoutKey => {
                "put both authority files back from a copy; without one move them away: a new authority is made then, \
                 and has to be installed wherever the old one was"
            }
            NotOurAuthority => "name the files of a certificate of another authority with cert and key",
            NotMade(_) => "see whether host is a name that can stand in a certificate, and whether the clock is right",
            NoStateFolder => "name one with state",
        }
    }

    /// The fault as that of a file, or of a host.
    pub fn of(self, origin: impl Into<String>) -> Problem {
        Problem { origin: origin.into(), fault: self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Fault::*;
        match self {
            Unreadable(why) => write!(f, "cannot be read: {why}"),
            IsFolder => f.write_str("is a folder"),
            NoCertificate => f.write_str("no certificate in it"),
            NoKey => f.write_str("no private key in it"),
            KeyEncrypted => f.write_str("the private key is encrypted"),
            Damaged => f.write_str("the PEM text is damaged"),
            BadCertificate(why) => write!(f, "a certificate in it cannot be understood: {why}"),
            BadKey => f.write_str("the private key cannot be understood"),
            Mismatch => f.write_str("the private key does not belong to the certificate"),
            NoPair => f.write_str("no certificate together with its key in it"),
            NoneForHost => f.write_str("there is no certificate for this host"),
            Expired(at) => write!(f, "expired on {}", day(*at)),
            NotYetValid(at) => write!(f, "not valid before {}", day(*at)),
            NoNames => f.write_str("the certificate names no host"),
            NotCovered { host, names } => write!(f, "not for {host}: the certificate is for {names}"),
            Unwritable(why) => write!(f, "cannot be written: {why}"),
            BadAuthority(fault) => write!(f, "cannot be used as our authority: {fault}"),
            AuthorityWithoutKey => f.write_str("the certificate of our authority is there, and its key is not"),
            NotOurAuthority => f.write_str("it is no certificate of an authority that ringferry made"),
            NotMade(why) => write!(f, "a certificate could not be made: {why}"),
            NoStateFolder => f.write_str("nothing says in which folder to keep it"),
        }
    }
}

/// The day of a second since 1970: `2026-11-23`.
pub fn day(unix_s: u64) -> String {
    let date = DateTime::from_unix_duration(Duration::from_secs(unix_s));
    date.map_or_else(
        |_| "a day after the year 9999".to_owned(),
        |date| format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()),
    )
}
