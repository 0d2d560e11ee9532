//! From configured paths to pairs, the ones in use as a fall-back. Does not touch the disk itself: whoever calls says
//! how a path is read. For the control plane only.

use super::folder::folder;
use super::pair::{Pair, read_chain, read_key};
use super::path::{ReadPath, file, ocsp};
use super::problem::Problem;
use crate::model::{CertificateSource, HostPattern};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The pairs of all sources that a configuration names.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    sources: HashMap<CertificateSource, Loaded>,
}

/// What a source gave.
#[derive(Clone, Debug, Default)]
struct Loaded {
    pairs: Vec<Arc<Pair>>,
    problems: Vec<Problem>,
}

impl Shelf {
    /// Reads every source once. Where one has a problem now, the pairs that it gave to this shelf before stay in use
    /// beside what it gives now.
    pub fn reload<'s>(
        &self,
        sources: impl IntoIterator<Item = &'s CertificateSource>,
        read: &mut ReadPath<'_>,
    ) -> Shelf {
        let mut next = Shelf::default();
        for source in sources {
            if !next.sources.contains_key(source) {
                next.sources.insert(source.clone(), self.load(source, read));
            }
        }
        next
    }

    /// The pairs of a source: all of `Files`, and those of a `Folder` that are for one of `hosts`.
    pub fn pairs(&self, source: &CertificateSource, hosts: &[HostPattern]) -> Vec<Arc<Pair>> {
        let pairs = self.sources.get(source).map(|loaded| loaded.pairs.as_slice()).unwrap_or_default();
        let wanted = |pair: &&Arc<Pair>| match source {
            // Who names a file means it, even if the names in it say otherwise.
            CertificateSource::Files { .. } | CertificateSource::Internal => true,
            CertificateSource::Folder(_) => hosts.iter().any(|host| pair.names().serve(host)),
        };
        pairs.iter().filter(wanted).cloned().collect()
    }

    /// What is wrong with the files of a source.
    pub fn problems(&self, source: &CertificateSource) -> &[Problem] {
        self.sources.get(source).map(|loaded| loaded.problems.as_slice()).unwrap_or_default()
    }

    fn load(&self, source: &CertificateSource, read: &mut ReadPath<'_>) -> Loaded {
        let last = self.sources.get(source).map(|last| last.pairs.as_slice()).unwrap_or_default();
        let (pairs, problems) = match source {
            CertificateSource::Files { cert, key } => match files(cert, key, read) {
                Ok(pair) => (vec![pair], Vec::new()),
                Err(problem) => (Vec::new(), vec![problem]),
            },
            CertificateSource::Folder(path) => folder(path, last, read),
            // Issued, not read: see `Leaves`.
            CertificateSource::Internal => (Vec::new(), Vec::new()),
        };
        let mut pairs: Vec<_> = pairs.into_iter().map(Arc::new).collect();
        if !problems.is_empty() {
            let replaced = |pair: &&Arc<Pair>| pairs.iter().any(|new| new.origin() == pair.origin());
            let kept: Vec<_> = last.iter().filter(|pair| !replaced(pair)).cloned().collect();
            pairs.extend(kept);
        }
        Loaded { pairs, problems }
    }
}

/// The pair of two files.
fn files(cert: &Path, key: &Path, read: &mut ReadPath<'_>) -> Result<Pair, Problem> {
    let (cert_origin, key_origin) = (cert.display().to_string(), key.display().to_string());
    let chain = file(cert, read).and_then(|pem| read_chain(&pem)).map_err(|fault| fault.of(&cert_origin))?;
    let key = file(key, read).and_then(|pem| read_key(&pem)).map_err(|fault| fault.of(&key_origin))?;
    let pair = Pair::new(&cert_origin, chain, key).map_err(|fault| fault.of(cert_origin))?;
    Ok(pair.stapled(ocsp(cert, read)))
}
