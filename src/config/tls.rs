//! What a site says of TLS: its certificates, or that it passes TLS through, and `hsts`. Paths are only read: what is
//! in the files is seen by whoever loads them.

use super::defaults;
use super::file::FilePath;
use super::problem::{At, Problems};
use super::reader::{Item, Read, Table};
use super::schema;
use crate::model::{CertificateSource, Hsts, SiteTls, Termination};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a site does with TLS.
pub(super) enum RawTls {
    Plain,
    Tls(SiteTls),
    /// A problem says why that cannot be told.
    Unclear,
}

/// What `tls`, `cert`, `key` and `client_ca` of a site mean together.
pub(super) fn tls(site: &Table, problems: &mut Problems) -> RawTls {
    let client_ca: Option<At<FilePath>> = site.get("client_ca", problems);
    let client_ca = client_ca.map(|path| path.value.0);
    let terminate = |certificates| RawTls::Tls(SiteTls::Terminate(Termination { certificates, client_ca }));
    let Some(word) = site.item("tls") else {
        return match certificates(site, problems) {
            Some(certificates) => terminate(certificates),
            None => without(site, problems),
        };
    };
    match word.choice(WORDS, "; or cert and key in place of tls", problems) {
        Some(Word::Internal) => {
            refuse(site, &["cert", "key"], BESIDE_INTERNAL, problems);
            terminate(vec![CertificateSource::Internal])
        }
        Some(Word::Passthrough) => {
            refuse(site, NOT_PASSED_THROUGH, BESIDE_PASSTHROUGH, problems);
            RawTls::Tls(SiteTls::Passthrough)
        }
        Some(Word::Off) => {
            refuse(site, &["cert", "key", "client_ca"], BESIDE_OFF, problems);
            RawTls::Plain
        }
        None => RawTls::Unclear,
    }
}

/// `hsts` of a site, which only one that ends TLS can have.
pub(super) fn hsts(site: &Table, tls: &RawTls, problems: &mut Problems) -> Option<Hsts> {
    let hsts: At<RawHsts> = site.get("hsts", problems)?;
    let wanted = hsts.value.0?;
    match tls {
        RawTls::Plain => {
            let what = "hsts in a site without TLS: browsers take it from https:// alone";
            problems.error(hsts.at, what, "write cert and key beside it, or tls = \"internal\", or remove it");
        }
        // With passthrough the key itself is refused.
        RawTls::Tls(SiteTls::Passthrough) | RawTls::Unclear => {}
        RawTls::Tls(SiteTls::Terminate(_)) => return Some(wanted),
    }
    None
}

/// A site with neither `tls` nor `cert`.
fn without(site: &Table, problems: &mut Problems) -> RawTls {
    let Some(at) = site.key_at("client_ca") else {
        return if site.key_at("key").is_some() { RawTls::Unclear } else { RawTls::Plain };
    };
    let what = "client_ca in a site without TLS: clients show certificates in TLS alone";
    problems.error(at, what, "write cert and key beside it, or tls = \"internal\"");
    RawTls::Unclear
}

/// What `cert` and `key` name: pairs, or folders where `cert` is alone. `None`: neither does.
fn certificates(site: &Table, problems: &mut Problems) -> Option<Vec<CertificateSource>> {
    let certs: Option<At<Vec<At<FilePath>>>> = site.get("cert", problems);
    let keys: Option<At<Vec<At<FilePath>>>> = site.get("key", problems);
    let Some(cert) = site.item("cert") else {
        if site.item("key").is_some() {
            let hint =
                "write: cert = \"/etc/ssl/www.example.com.pem\", with the certificate first and those above it behind";
            site.lacks(&["cert"], "key without cert", hint, problems);
        }
        return None;
    };
    let certs = certs.map_or(Vec::new(), |certs| certs.value);
    if cert.is_empty_list() {
        problems.error(cert.at, "cert lists no file", "write: cert = \"/etc/ssl/www.example.com.pem\", and key");
        return Some(Vec::new());
    }
    let Some(key) = site.item("key") else {
        return Some(folders(certs, problems));
    };
    if cert.len() != key.len() {
        let what = format!("cert has {} and key {}: they belong together by pairs", counted(&cert), counted(&key));
        problems.error(key.at, what, "write a key for each cert, in the same order; one file may be both");
    }
    let keys = keys.map_or(Vec::new(), |keys| keys.value);
    let pairs = certs.into_iter().zip(keys);
    Some(pairs.map(|(cert, key)| CertificateSource::Files { cert: cert.value.0, key: key.value.0 }).collect())
}

/// Folders to look for certificates in. Who names a file has forgotten its key.
fn folders(certs: Vec<At<FilePath>>, problems: &mut Problems) -> Vec<CertificateSource> {
    let folder = |At { value: FilePath(path), at }| {
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        if FILE_ENDS.contains(&end) {
            let hint = format!("write: key = {:?}, or the same path as cert if that has the key in it", beside(&path));
            problems.warning(at, "cert without key is a folder to look into, and this looks like a file", hint);
        }
        CertificateSource::Folder(path)
    };
    certs.into_iter().map(folder).collect()
}

/// Where its key is by custom.
fn beside(cert: &Path) -> PathBuf {
    // As certbot has them.
    if cert.file_name().is_some_and(|name| name == "fullchain.pem") {
        return cert.with_file_name("privkey.pem");
    }
    cert.with_extension("key")
}

fn counted(item: &Item) -> String {
    format!("{} {}", item.len(), if item.len() == 1 { "file" } else { "files" })
}

/// Keys that do not go with the word of `tls`.
fn refuse(site: &Table, keys: &[&'static str], (beside, hint): (&str, &str), problems: &mut Problems) {
    for key in keys {
        if let Some(at) = site.key_at(key) {
            problems.error(at, format!("{key} beside {beside}"), hint);
        }
    }
}

/// `hsts`: whether, for how long, or a table.
struct RawHsts(Option<Hsts>);

impl<'t> Read<'t> for RawHsts {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<RawHsts> {
        if item.is_bool() {
            return Some(RawHsts(bool::read(item, problems)?.then_some(defaults::HSTS)));
        }
        if !item.is_table() {
            return Some(RawHsts(Some(Hsts { max_age: Duration::read(item, problems)?, ..defaults::HSTS })));
        }
        let table = Table::read(item, &schema::HSTS, problems)?;
        let max_age = table.get_or("max_age", defaults::HSTS.max_age, problems);
        let include_subdomains = table.get_or("include_subdomains", defaults::HSTS.include_subdomains, problems);
        let preload: Option<At<bool>> = table.get("preload", problems);
        let preloaded = preload.as_ref().filter(|preload| preload.value);
        if let Some(At { at, .. }) = preloaded.filter(|_| !include_subdomains) {
            let hint = "write include_subdomains = true, if every host below has TLS; no list takes it without";
            problems.error(*at, "preload without include_subdomains", hint);
        }
        if let Some(At { at, .. }) = preloaded.filter(|_| max_age < defaults::HSTS_PRELOAD_MIN) {
            let hint = "write: max_age = \"365d\"; browsers take nothing shorter on their lists";
            problems.error(*at, "preload with a max_age below a year", hint);
        }
        Some(RawHsts(Some(Hsts { max_age, include_subdomains, preload: preloaded.is_some() })))
    }
}

#[derive(Clone, Copy)]
enum Word {
    Internal,
    Passthrough,
    Off,
}

const WORDS: &[(&str, Word)] = &[("internal", Word::Internal), ("passthrough", Word::Passthrough), ("off", Word::Off)];

/// What a site that passes TLS through cannot have: it would have to read what it passes.
const NOT_PASSED_THROUGH: &[&str] =
    &["cert", "key", "client_ca", "hsts", "route", "redirect", "strip_prefix", "max_body", "request_id", "rate"];

/// What a key does not go with, and what to do about it.
const BESIDE_INTERNAL: (&str, &str) =
    ("tls = \"internal\", which issues a certificate by itself", "remove the one that is not meant");
const BESIDE_OFF: (&str, &str) = ("tls = \"off\"", "remove the one that is not meant");
const BESIDE_PASSTHROUGH: (&str, &str) = (
    "tls = \"passthrough\": what is passed through is never decrypted",
    "remove it: such a site has `upstream`, `allow` and `deny` alone; or end TLS here, by cert and key in place of tls",
);

/// What stands for what cannot be told.
pub(super) const UNCLEAR: SiteTls = SiteTls::Terminate(Termination { certificates: Vec::new(), client_ca: None });

/// How files are called that have certificates in them.
const FILE_ENDS: &[&str] = &["pem", "crt", "cer", "cert"];
