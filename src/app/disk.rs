//! Files of certificates and keys, as `tls` asks for them: whole, and never more than they may be. For the control
//! plane; it follows links, since ACME clients lay their certificates out with them.

use crate::tls::{Fault, Found};
use nix::fcntl::OFlag;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What lies under a path. Of a folder the names alone: whatever is no folder is told as a file, and says what it is
/// when it is read.
pub(super) fn read(path: &Path) -> io::Result<Found> {
    // Without waiting: opening a pipe would take until somebody writes into it.
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return folder(path, FOLDER_ENTRIES_MAX);
    }
    if !kind.is_file() {
        return Err(io::Error::other("it is neither a file nor a folder"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("it has more than 1 MiB, as no file of certificates and keys has"));
    }
    Ok(Found::File(bytes))
}

/// The bytes of a file.
pub(super) fn file(path: &Path) -> Result<Vec<u8>, Fault> {
    match read(path) {
        Ok(Found::File(bytes)) => Ok(bytes),
        Ok(Found::Folder { .. }) => Err(Fault::IsFolder),
        Err(why) => Err(Fault::Unreadable(why.to_string())),
    }
}

/// What is in a folder of at most so many entries.
pub(super) fn folder(path: &Path, entries_max: usize) -> io::Result<Found> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for (count, entry) in fs::read_dir(path)?.enumerate() {
        if count == entries_max {
            let why = format!("it has more than {entries_max} entries; name the folder of the certificates alone");
            return Err(io::Error::other(why));
        }
        let path = entry?.path();
        // The target of a link counts. One that leads nowhere is told as a file: reading it says so.
        if fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) { &mut folders } else { &mut files }.push(path);
    }
    Ok(Found::Folder { files, folders })
}

/// Bytes of a file: chains and keys have a few thousand, the authorities of a whole system 250 thousand.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Entries of a folder: more than one machine has certificates.
const FOLDER_ENTRIES_MAX: usize = 4096;
