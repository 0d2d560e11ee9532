//! What is read of a disk, and how much of it.

use super::Folder;
use crate::app::disk::{file, folder, read};
use crate::tls::{Fault, Found};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn links_are_followed() {
    let folder = Folder::new();
    folder.write("archive1.pem", "text");
    fs::create_dir(folder.path("archive")).unwrap();
    symlink("archive1.pem", folder.path("live.pem")).unwrap();
    symlink("archive", folder.path("live")).unwrap();
    symlink("nowhere.pem", folder.path("lost.pem")).unwrap();
    assert_eq!(file(&folder.path("live.pem")), Ok(b"text".to_vec()));
    let Ok(Found::Folder { mut files, mut folders }) = read(&folder.0) else { panic!("it is a folder") };
    files.sort();
    folders.sort();
    assert_eq!(files, ["archive1.pem", "live.pem", "lost.pem"].map(|name| folder.path(name)));
    assert_eq!(folders, ["archive", "live"].map(|name| folder.path(name)));
    assert!(matches!(file(&folder.path("lost.pem")), Err(Fault::Unreadable(_))));
    assert_eq!(file(&folder.path("live")), Err(Fault::IsFolder));
}

#[test]
fn nothing_is_read_without_an_end() {
    let folder = Folder::new();
    let large = folder.write("large.pem", &"x".repeat(1 << 20));
    assert_eq!(file(&large).map(|bytes| bytes.len()), Ok(1 << 20));
    folder.write("large.pem", &"x".repeat((1 << 20) + 1));
    let why = "it has more than 1 MiB, as no file of certificates and keys has";
    assert_eq!(file(&large), Err(Fault::Unreadable(why.into())));
    // A pipe that nobody writes to, and a device that never ends.
    let pipe = folder.path("pipe.pem");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let neither = || Err(Fault::Unreadable("it is neither a file nor a folder".into()));
    assert_eq!(file(&pipe), neither());
    assert_eq!(file("/dev/zero".as_ref()), neither());
}

#[test]
fn a_folder_of_too_many_entries_is_refused() {
    let files = Folder::new();
    for name in ["a", "b", "c"] {
        files.write(name, "");
    }
    assert!(matches!(folder(&files.0, 3), Ok(Found::Folder { files, .. }) if files.len() == 3));
    files.write("d", "");
    let why = "it has more than 3 entries; name the folder of the certificates alone";
    assert_eq!(folder(&files.0, 3).map(drop).map_err(|why| why.to_string()), Err(why.to_owned()));
}
