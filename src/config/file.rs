//! Paths of files and folders, as they are written. Syntax only: nothing is looked at on the disk.

use super::reader::{Scalar, Wrong};
use std::path::PathBuf;

/// A file or a folder; a relative one counts from where the program was started.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FilePath(pub(super) PathBuf);

impl Scalar for FilePath {
    const EXAMPLE: &'static str = "\"/etc/ssl/www.example.com.pem\"";

    fn from_text(text: &str) -> Result<FilePath, Wrong> {
        // Whatever it is, it may be a private key: not a letter of it is repeated.
        if text.contains("-----BEGIN") {
            return Err(Wrong::new("this is what is in the file, not its path").write_bare(Self::EXAMPLE));
        }
        if let Some(rest) = text.strip_prefix("~/") {
            return Err(
                Wrong::new(format!("{text:?}: only a shell knows what ~ is")).write(format_args!("/root/{rest}"))
            );
        }
        if text.is_empty() || text.len() > PATH_MAX || text.contains('\0') {
            let what = format!("the path of a file has 1 to {PATH_MAX} bytes, and no NUL");
            return Err(Wrong::new(what).write_bare(Self::EXAMPLE));
        }
        Ok(FilePath(PathBuf::from(text)))
    }
}

/// A folder of ours. It is found again after a start from elsewhere, so it begins with a slash.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OwnFolder(pub(super) PathBuf);

impl Scalar for OwnFolder {
    const EXAMPLE: &'static str = "\"/var/lib/ringferry\"";

    fn from_text(text: &str) -> Result<OwnFolder, Wrong> {
        let FilePath(path) = FilePath::from_text(text)?;
        match path.is_absolute() {
            true => Ok(OwnFolder(path)),
            false => Err(Wrong::new(format!(
                "{text:?} does not begin with a slash: it would be another folder after each start"
            ))
            .write_bare(Self::EXAMPLE)),
        }
    }
}

/// What Linux takes (`PATH_MAX`), without the NUL at the end.
const PATH_MAX: usize = 4095;

#[cfg(test)]
mod tests {
    use super::super::tests::check_scalar;
    use super::*;

    #[track_caller]
    fn file(text: &str, expect: Result<&str, &str>) {
        check_scalar(text, |path: FilePath| path.0.display().to_string(), expect);
    }

    #[test]
    fn a_file_is_named_by_its_path() {
        file("/etc/ssl/a.pem", Ok("/etc/ssl/a.pem"));
        file("a.pem", Ok("a.pem"));
        file("-----BEGIN PRIVATE KEY-----\nabc", Err("this is what is in the file, not its path"));
        file("~/a.pem", Err("\"~/a.pem\": only a shell knows what ~ is"));
        file("", Err("the path of a file has 1 to 4095 bytes, and no NUL"));
        file("a\0b", Err("the path of a file has 1 to 4095 bytes, and no NUL"));
        file(&"a".repeat(4096), Err("the path of a file has 1 to 4095 bytes, and no NUL"));
    }

    #[test]
    fn our_own_folder_begins_with_a_slash() {
        let show = |path: OwnFolder| path.0.display().to_string();
        check_scalar("/var/lib/x", show, Ok("/var/lib/x"));
        let what = "\"state\" does not begin with a slash: it would be another folder after each start";
        check_scalar("state", show, Err(what));
    }
}
