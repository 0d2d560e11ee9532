//! Certificates and keys of a folder. Each ACME client has a layout of its own, so names of files say nothing here:
//! what belongs together is seen by the keys.

use super::pair::{Chain, Key, Pair, read_chain, read_key};
use super::path::{Found, ReadPath, file, ocsp};
use super::problem::{Fault, Problem};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The pairs in a folder and in the folders in it, and the files that should give one and do not: those that cannot be
/// read, and those that gave one of `last`.
pub(super) fn folder(path: &Path, last: &[Arc<Pair>], read: &mut ReadPath<'_>) -> (Vec<Pair>, Vec<Problem>) {
    let mut content = Content::default();
    content.folder(path, FOLDERS_DEEP, read);
    let Content { chains, keys, mut problems } = content;
    let mut pairs = Vec::new();
    for (path, chain) in chains {
        let origin = path.display().to_string();
        match pair(&path, &origin, &chain, &keys, read) {
            Ok(pair) => keep_longest(&mut pairs, pair),
            // The certificate of an authority, or one whose key is elsewhere. If it had its key here, somebody may be
            // writing a new pair just now.
            Err(Fault::Mismatch) if !last.iter().any(|pair| pair.origin() == origin) => {}
            Err(fault) => problems.push(fault.of(origin)),
        }
    }
    if pairs.is_empty() && problems.is_empty() {
        problems.push(Fault::NoPair.of(path.display().to_string()));
    }
    (pairs, problems)
}

/// What lies in a folder.
#[derive(Default)]
struct Content {
    chains: Vec<(PathBuf, Chain)>,
    keys: Vec<Key>,
    problems: Vec<Problem>,
}

impl Content {
    fn folder(&mut self, path: &Path, deep: u8, read: &mut ReadPath<'_>) {
        match read(path) {
            Ok(Found::Folder { mut files, mut folders }) => {
                // The same order at each start, and so the same choice between equals.
                files.sort();
                folders.sort();
                files.iter().filter(|path| is_wanted(path)).for_each(|path| self.file(path, read));
                if deep > 1 {
                    folders.iter().for_each(|path| self.folder(path, deep - 1, read));
                }
            }
            Ok(Found::File(_)) => self.problem(path, Fault::Unreadable("it is not a folder".to_owned())),
            Err(why) => self.problem(path, Fault::Unreadable(why.to_string())),
        }
    }

    /// A file may hold a chain, a key, both, or something else.
    fn file(&mut self, path: &Path, read: &mut ReadPath<'_>) {
        let pem = match file(path, read) {
            Ok(pem) => pem,
            Err(fault) => return self.problem(path, fault),
        };
        match read_chain(&pem) {
            Ok(chain) => self.chains.push((path.to_owned(), chain)),
            Err(Fault::NoCertificate) => {}
            Err(fault) => return self.problem(path, fault),
        }
        match read_key(&pem) {
            Ok(key) => self.keys.push(key),
            Err(Fault::NoKey) => {}
            Err(fault) => self.problem(path, fault),
        }
    }

    fn problem(&mut self, path: &Path, fault: Fault) {
        self.problems.push(fault.of(path.display().to_string()));
    }
}

/// The chain with the key that it belongs to.
fn pair(path: &Path, origin: &str, chain: &Chain, keys: &[Key], read: &mut ReadPath<'_>) -> Result<Pair, Fault> {
    for key in keys {
        match Pair::new(origin, chain.clone(), key.clone()) {
            Err(Fault::Mismatch) => {}
            Ok(pair) => return Ok(pair.stapled(ocsp(path, read))),
            bad => return bad,
        }
    }
    Err(Fault::Mismatch)
}

/// Some clients write the certificate alone beside the same one with its chain. The chain is what visitors need.
fn keep_longest(pairs: &mut Vec<Pair>, new: Pair) {
    let length = |pair: &Pair| pair.certified().cert.len();
    match pairs.iter_mut().find(|pair| pair.fingerprint() == new.fingerprint()) {
        Some(known) if length(known) < length(&new) => *known = new,
        Some(_) => {}
        None => pairs.push(new),
    }
}

fn is_wanted(path: &Path) -> bool {
    path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// What files of certificates and keys are called; nothing else is opened.
const EXTENSIONS: &[&str] = &["pem", "crt", "cer", "cert", "key"];
/// The folder itself and those in it: one for each site is how most ACME clients do it.
const FOLDERS_DEEP: u8 = 2;
