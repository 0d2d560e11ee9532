//! From paths to pairs, on a disk of the mind.

use super::{HOME, Made, ecdsa, rsa};
use crate::model::{CertificateSource, HostPattern};
use crate::tls::{Found, Shelf};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Files by their path.
type Disk = BTreeMap<PathBuf, String>;

fn disk(files: &[(&str, &str)]) -> Disk {
    files.iter().map(|(path, text)| (path.into(), text.to_string())).collect()
}

fn read(disk: &Disk, path: &Path) -> io::Result<Found> {
    if let Some(text) = disk.get(path) {
        return Ok(Found::File(text.clone().into_bytes()));
    }
    let below: Vec<_> = disk.keys().filter_map(|file| Some((file, file.strip_prefix(path).ok()?))).collect();
    if below.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for (file, rest) in below {
        match rest.components().count() {
            1 => files.push(file.clone()),
            _ => folders.push(path.join(rest.components().next().unwrap())),
        }
    }
    folders.dedup();
    Ok(Found::Folder { files, folders })
}

fn reload(shelf: &Shelf, source: &CertificateSource, disk: &Disk) -> Shelf {
    shelf.reload([source], &mut |path| read(disk, path))
}

/// What a source gives to a site with `host`: pairs as `origin: names`, problems as they are told.
#[track_caller]
fn check(shelf: &Shelf, source: &CertificateSource, host: &str, pairs: &[&str], problems: &[&str]) {
    let found = shelf.pairs(source, &[HostPattern::Exact(host.into())]);
    let found: Vec<_> = found.iter().map(|pair| format!("{}: {}", pair.origin(), pair.names())).collect();
    assert_eq!(found, pairs);
    assert_eq!(shelf.problems(source).iter().map(ToString::to_string).collect::<Vec<_>>(), problems);
}

fn files(cert: &str, key: &str) -> CertificateSource {
    CertificateSource::Files { cert: cert.into(), key: key.into() }
}

fn folder(path: &str) -> CertificateSource {
    CertificateSource::Folder(path.into())
}

#[test]
fn two_files_are_a_pair_or_a_problem_of_one_of_them() {
    let Made { chain, key } = ecdsa(&["a.test"]);
    let both = format!("{chain}{key}");
    let other = ecdsa(&["a.test"]).key;
    let disk = disk(&[("/a.pem", &chain), ("/a.key", &key), ("/both.pem", &both), ("/other.key", &other)]);
    #[track_caller]
    fn one(disk: &Disk, cert: &str, key: &str, pairs: &[&str], problems: &[&str]) {
        let source = files(cert, key);
        check(&reload(&Shelf::default(), &source, disk), &source, "unasked.test", pairs, problems);
    }
    one(&disk, "/a.pem", "/a.key", &["/a.pem: a.test"], &[]);
    one(&disk, "/both.pem", "/both.pem", &["/both.pem: a.test"], &[]);
    one(&disk, "/none.pem", "/a.key", &[], &["/none.pem: cannot be read: entity not found"]);
    one(&disk, "/a.pem", "/none.key", &[], &["/none.key: cannot be read: entity not found"]);
    one(&disk, "/", "/a.key", &[], &["/: is a folder"]);
    one(&disk, "/a.pem", "/a.pem", &[], &["/a.pem: no private key in it"]);
    one(&disk, "/a.key", "/a.pem", &[], &["/a.key: no certificate in it"]);
    one(&disk, "/a.pem", "/other.key", &[], &["/a.pem: the private key does not belong to the certificate"]);
}

#[test]
fn a_staple_lies_beside_its_certificate() {
    let Made { chain, key } = ecdsa(&["a.test"]);
    let disk = disk(&[("/d/a.pem", &chain), ("/d/a.pem.ocsp", "response"), ("/d/a.key", &key)]);
    for source in [files("/d/a.pem", "/d/a.key"), folder("/d")] {
        let pairs = reload(&Shelf::default(), &source, &disk).pairs(&source, &[HostPattern::Any]);
        assert_eq!(pairs[0].certified().ocsp.as_deref(), Some(&b"response"[..]));
    }
}

#[test]
fn a_folder_is_sorted_by_keys_and_chosen_from_by_names() {
    let (a, b, c) = (ecdsa(&["a.test"]), rsa(&["b.test", "*.b.test"]), ecdsa(&["c.test"]));
    let full = format!("{}{}", a.chain, HOME.pem);
    let both = format!("{}{}", b.chain, b.key);
    let disk = disk(&[
        // One folder for each site, the certificate with and without its chain.
        ("/d/a.test/cert.pem", &a.chain),
        ("/d/a.test/chain.pem", &HOME.pem),
        ("/d/a.test/fullchain.pem", &full),
        ("/d/a.test/privkey.pem", &a.key),
        // Everything in one file.
        ("/d/b.pem", &both),
        // In one folder by name, and a certificate whose key is elsewhere.
        ("/d/c.crt", &c.chain),
        ("/d/c.key", &c.key),
        ("/d/c.issuer.crt", &HOME.pem),
        ("/d/lone.crt", &ecdsa(&["c.test"]).chain),
        // Not opened.
        ("/d/README", "-----BEGIN CERTIFICATE-----"),
        ("/d/a.test/deeper/x.pem", "-----BEGIN CERTIFICATE-----"),
    ]);
    let source = folder("/d");
    let shelf = reload(&Shelf::default(), &source, &disk);
    check(&shelf, &source, "a.test", &["/d/a.test/fullchain.pem: a.test"], &[]);
    check(&shelf, &source, "x.b.test", &["/d/b.pem: b.test, *.b.test"], &[]);
    check(&shelf, &source, "c.test", &["/d/c.crt: c.test"], &[]);
    check(&shelf, &source, "d.test", &[], &[]);
    assert_eq!(shelf.pairs(&source, &[HostPattern::Exact("a.test".into())])[0].certified().cert.len(), 2);
}

#[test]
fn a_bad_file_in_a_folder_leaves_the_others_alone() {
    let a = ecdsa(&["a.test"]);
    let disk = disk(&[
        ("/d/a.pem", &a.chain),
        ("/d/a.key", &a.key),
        ("/d/cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB"),
        ("/d/locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
    ]);
    let source = folder("/d");
    let shelf = reload(&Shelf::default(), &source, &disk);
    let problems = ["/d/cut.pem: the PEM text is damaged", "/d/locked.key: the private key is encrypted"];
    check(&shelf, &source, "a.test", &["/d/a.pem: a.test"], &problems);

    let nothing = self::disk(&[("/d/a.pem", &a.chain)]);
    let shelf = reload(&Shelf::default(), &source, &nothing);
    check(&shelf, &source, "a.test", &[], &["/d: no certificate together with its key in it"]);
    let shelf = reload(&Shelf::default(), &folder("/none"), &nothing);
    check(&shelf, &folder("/none"), "a.test", &[], &["/none: cannot be read: entity not found"]);
}

#[test]
fn the_last_good_pair_stays_until_another_is_good() {
    let (old, new, b) = (ecdsa(&["a.test"]), ecdsa(&["a.test"]), ecdsa(&["b.test"]));
    let mismatch = "/d/a.pem: the private key does not belong to the certificate";
    for source in [files("/d/a.pem", "/d/a.key"), folder("/d")] {
        let at = |chain: &str| {
            disk(&[("/d/a.pem", chain), ("/d/a.key", &old.key), ("/d/b.pem", &b.chain), ("/d/b.key", &b.key)])
        };
        let before = reload(&Shelf::default(), &source, &at(&old.chain));
        let hosts = [HostPattern::Exact("a.test".into())];
        let pair = |shelf: &Shelf| shelf.pairs(&source, &hosts).into_iter().next();

        let cut = reload(&before, &source, &at(&old.chain[..100]));
        assert_eq!(cut.problems(&source).len(), 1);
        assert_eq!(pair(&cut).unwrap().fingerprint(), pair(&before).unwrap().fingerprint());

        // Half of the renewal is written.
        let half = reload(&cut, &source, &at(&new.chain));
        assert_eq!(half.problems(&source).iter().map(ToString::to_string).collect::<Vec<_>>(), [mismatch]);
        assert_eq!(pair(&half).unwrap().fingerprint(), pair(&before).unwrap().fingerprint());

        let mut disk = at(&new.chain);
        disk.insert("/d/a.key".into(), new.key.clone());
        let after = reload(&half, &source, &disk);
        assert!(after.problems(&source).is_empty());
        assert_eq!(pair(&after).unwrap().fingerprint(), new.pair("x").fingerprint());
    }
}
