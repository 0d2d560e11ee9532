//! What lies under the paths of certificates and keys. How a path is read is said by whoever calls.

use super::problem::Fault;
use std::io;
use std::path::{Path, PathBuf};

/// What lies under a path.
#[derive(Clone, Debug)]
pub enum Found {
    /// A file with these bytes.
    File(Vec<u8>),
    /// A folder.
    Folder {
        /// The files in it.
        files: Vec<PathBuf>,
        /// The folders in it.
        folders: Vec<PathBuf>,
    },
}

/// Reads a path.
pub type ReadPath<'a> = dyn FnMut(&Path) -> io::Result<Found> + 'a;

/// The bytes of a file.
pub(super) fn file(path: &Path, read: &mut ReadPath<'_>) -> Result<Vec<u8>, Fault> {
    match read(path) {
        Ok(Found::File(bytes)) => Ok(bytes),
        Ok(Found::Folder { .. }) => Err(Fault::IsFolder),
        Err(why) => Err(Fault::Unreadable(why.to_string())),
    }
}

/// The response to staple to the certificate at `cert`, if there is one: nothing is wrong when there is none.
pub(super) fn ocsp(cert: &Path, read: &mut ReadPath<'_>) -> Option<Vec<u8>> {
    let mut path = cert.as_os_str().to_owned();
    path.push(".ocsp");
    file(Path::new(&path), read).ok().filter(|response| !response.is_empty())
}
