//! Tests that need files: each in a folder of its own, gone with the test.

mod certificates;
mod disk;
mod state;

use crate::model::{Access, CertificateSource, Config, HostPattern, ListenerId, Site, SiteTls, Termination};
use rcgen::{CertificateParams, KeyPair};
use ringferry_runtime::random;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder that lives as long as the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let path = std::env::temp_dir().join(format!("ringferry-app-{:016x}", random()));
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// What is in it, sorted.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Sites that end TLS on the first listener; what outlives the process is kept in `state`.
fn config(state: &Path, sites: Vec<Site>) -> Config {
    Config { state: Some(state.to_owned()), sites, ..Config::default() }
}

fn site(host: &str, certificates: &[CertificateSource], client_ca: Option<&Path>) -> Site {
    let certificates = certificates.to_vec();
    Site {
        name: host.to_owned(),
        hosts: vec![if host == "*" { HostPattern::Any } else { HostPattern::Exact(host.to_owned()) }],
        listeners: vec![ListenerId(0)],
        routes: 0..0,
        tls: Some(SiteTls::Terminate(Termination { certificates, client_ca: client_ca.map(Path::to_owned) })),
        hsts: None,
        access: Access::default(),
    }
}

fn files(cert: &Path, key: &Path) -> CertificateSource {
    CertificateSource::Files { cert: cert.to_owned(), key: key.to_owned() }
}

/// A certificate for `host`, good in these years, and its key, in PEM.
fn made(host: &str, years: (i32, i32)) -> (String, String) {
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(years.0, 1, 1), rcgen::date_time_ymd(years.1, 1, 1));
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// The years in which a certificate is good, the first day of each.
const GOOD: (i32, i32) = (2020, 2099);
/// In 2026.
const NOW_S: u64 = 1_780_000_000;
