//! What has to outlive the process, and where: our own authority, in a folder of its own.
//!
//! `authority.key` has the key and the certificate, so that the one is never there without the other: it appears whole,
//! by a link that succeeds for one process alone if several start at once. `authority.pem` is a copy of the certificate
//! for people. What is broken is never replaced: the authority that was there may be installed on many devices.

use super::{disk, machine};
use crate::model::{CertificateSource, Config, SiteTls};
use crate::tls::{Authority, Fault, Problem};
use nix::unistd::geteuid;
use ringferry_runtime::random;
use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
use std::path::{Path, PathBuf};

/// The folder that keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    folder: PathBuf,
}

impl State {
    /// Where a configuration says; else where systemd says; else where programs of this user keep such things.
    pub fn of(config: &Config) -> Result<State, Problem> {
        let folder = choose(
            config.state.as_deref(),
            env::var_os("STATE_DIRECTORY"),
            geteuid().is_root(),
            env::var_os("XDG_STATE_HOME"),
            env::var_os("HOME"),
        );
        folder.map(|folder| State { folder }).ok_or_else(|| Fault::NoStateFolder.of("our own authority"))
    }

    /// The authority: the one that is there, with a new certificate when that is due, or a new one where none ever was.
    pub fn authority(&self, now_s: u64) -> Result<Authority, Problem> {
        let authority = match self.look()? {
            Some(found) => self.renew(found, now_s),
            None => self.make(now_s)?,
        };
        self.publish(&authority);
        Ok(authority)
    }

    /// The authority that is there. Writes nothing.
    pub fn look(&self) -> Result<Option<Authority>, Problem> {
        let origin = self.key_path().display().to_string();
        // First the certificate: it is written after the key, so one without the other is no matter of bad timing.
        let published = disk::read(&self.certificate_path()).is_ok();
        let kept = match disk::read(&self.key_path()) {
            Err(why) if why.kind() == ErrorKind::NotFound && published => {
                return Err(Fault::AuthorityWithoutKey.of(origin));
            }
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
            _ => disk::file(&self.key_path()).map_err(|fault| fault.of(&origin))?,
        };
        let bad = |fault| Fault::BadAuthority(Box::new(fault)).of(&origin);
        let authority = Authority::read(&kept).map_err(bad)?;
        // One that was put back from another copy than the key: nobody knows which of the two is installed.
        match disk::file(&self.certificate_path()).and_then(|pem| authority.is_of(&pem)) {
            Ok(false) => Err(bad(Fault::Mismatch)),
            _ => Ok(Some(authority)),
        }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes it another user's, who has to keep it from here on; makes the folder, if it will be wanted. What belongs
    /// to somebody else than root was given away on purpose, and a folder with files of others in it is not ours to
    /// give.
    pub(super) fn hand_over(&self, config: &Config, uid: u32, gid: u32) -> io::Result<()> {
        if wants_authority(config) {
            DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.folder)?;
        }
        let ours = [self.key_path(), self.certificate_path()];
        let mut entries = fs::read_dir(&self.folder)?.filter_map(Result::ok);
        if fs::metadata(&self.folder)?.uid() != 0 || !entries.all(|entry| ours.contains(&entry.path())) {
            return Ok(());
        }
        for path in ours.iter().filter(|path| path.exists()) {
            lchown(path, Some(uid), Some(gid))?;
        }
        lchown(&self.folder, Some(uid), Some(gid))
    }

    /// Where a copy of the certificate lies, once there is an authority.
    pub fn certificate_path(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    fn key_path(&self) -> PathBuf {
        self.folder.join("authority.key")
    }

    fn make(&self, now_s: u64) -> Result<Authority, Problem> {
        let origin = |path: &Path| path.display().to_string();
        let made = Authority::new(&machine::name(), now_s).map_err(|fault| fault.of(origin(&self.key_path())))?;
        let created = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.folder);
        created.map_err(|why| Fault::Unwritable(why.to_string()).of(origin(&self.folder)))?;
        match self.write(&self.key_path(), &made.to_pem(), KEY_MODE, Put::IfNew) {
            Ok(()) => Ok(made),
            // Another process has been faster, and its authority is whole.
            Err(why) if why.kind() == ErrorKind::AlreadyExists => match self.look()? {
                Some(first) => Ok(first),
                None => Err(Fault::Unwritable(why.to_string()).of(origin(&self.key_path()))),
            },
            Err(why) => Err(Fault::Unwritable(why.to_string()).of(origin(&self.key_path()))),
        }
    }

    fn renew(&self, found: Authority, now_s: u64) -> Authority {
        match found.renewed(now_s) {
            Ok(Some(renewed)) => {
                // If this fails, the next start tries again: until then what is issued is as good, the key being the
                // same.
                let _ = self.write(&self.key_path(), &renewed.to_pem(), KEY_MODE, Put::Over);
                renewed
            }
            _ => found,
        }
    }

    /// Sees to the copy of the certificate. The copy is for people: no site depends on it.
    fn publish(&self, authority: &Authority) {
        let pem = authority.certificate_pem();
        if disk::file(&self.certificate_path()).as_deref() != Ok(pem.as_bytes()) {
            let _ = self.write(&self.certificate_path(), pem, CERTIFICATE_MODE, Put::Over);
        }
    }

    /// Writes a file that is there whole or not at all, whatever fails and whoever else writes it.
    fn write(&self, path: &Path, text: &str, mode: u32, put: Put) -> io::Result<()> {
        let draft = self.folder.join(format!(".draft-{:016x}", random()));
        let written = self.draft(&draft, text, mode).and_then(|()| match put {
            Put::IfNew => fs::hard_link(&draft, path),
            Put::Over => fs::rename(&draft, path),
        });
        // Renamed, it is gone already.
        let _ = fs::remove_file(&draft);
        written?;
        File::open(&self.folder)?.sync_all()
    }

    fn draft(&self, path: &Path, text: &str, mode: u32) -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
        // Whatever the umask takes away.
        file.set_permissions(Permissions::from_mode(mode))?;
        // A verb that root types must not leave a key that the service, another user, cannot read.
        let owner = fs::metadata(&self.folder)?;
        if geteuid().is_root() && owner.uid() != 0 {
            fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

/// What becomes of a file that is there already.
enum Put {
    IfNew,
    Over,
}

/// The authority for the sites of a configuration that want one; `None` where no site does.
pub(super) fn authority(config: &Config, now_s: u64) -> Result<Option<Authority>, Problem> {
    if wants_authority(config) { State::of(config)?.authority(now_s).map(Some) } else { Ok(None) }
}

/// The same for a look at a configuration: writes nothing, and where there is no authority yet takes one that lasts as
/// long as the look.
pub(super) fn authority_to_look(config: &Config, now_s: u64) -> Result<Option<Authority>, Problem> {
    if !wants_authority(config) {
        return Ok(None);
    }
    match State::of(config)?.look()? {
        Some(found) => Ok(Some(found)),
        None => Authority::new(&machine::name(), now_s).map(Some).map_err(|fault| fault.of("our own authority")),
    }
}

/// Whether a site has certificates of our own authority.
pub fn wants_authority(config: &Config) -> bool {
    config.sites.iter().any(|site| match &site.tls {
        Some(SiteTls::Terminate(termination)) => termination.certificates.contains(&CertificateSource::Internal),
        _ => false,
    })
}

/// The folder, by what the configuration, systemd and the environment say.
fn choose(
    configured: Option<&Path>,
    systemd: Option<OsString>,
    is_root: bool,
    xdg_state: Option<OsString>,
    home: Option<OsString>,
) -> Option<PathBuf> {
    // Relative values are ignored, as the XDG base directory specification asks; systemd gives none.
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    // Several folders of a unit stand there with colons between them.
    let systemd = systemd.and_then(|list| env::split_paths(&list).next()).map(PathBuf::into_os_string);
    let of_user = || {
        let state = absolute(xdg_state).or_else(|| absolute(home).map(|home| home.join(".local/state")));
        state.map(|state| state.join("ringferry"))
    };
    let system = || if is_root { Some(PathBuf::from("/var/lib/ringferry")) } else { of_user() };
    configured.map(Path::to_path_buf).or_else(|| absolute(systemd)).or_else(system)
}

const FOLDER_MODE: u32 = 0o700;
const KEY_MODE: u32 = 0o600;
const CERTIFICATE_MODE: u32 = 0o644;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(configured: Option<&str>, systemd: &str, is_root: bool, xdg: &str, home: &str, expect: Option<&str>) {
        let set = |value: &str| (value != "-").then(|| OsString::from(value));
        let found = choose(configured.map(Path::new), set(systemd), is_root, set(xdg), set(home));
        assert_eq!(found.as_deref(), expect.map(Path::new));
    }

    #[test]
    fn the_folder_is_the_first_that_somebody_names() {
        check(Some("/x"), "/s", true, "/xdg", "/home/me", Some("/x"));
        check(None, "/s", true, "/xdg", "/home/me", Some("/s"));
        check(None, "/s:/t", false, "/xdg", "/home/me", Some("/s"));
        check(None, "-", true, "/xdg", "/root", Some("/var/lib/ringferry"));
        check(None, "", true, "-", "-", Some("/var/lib/ringferry"));
        check(None, "-", false, "/xdg", "/home/me", Some("/xdg/ringferry"));
        check(None, "-", false, "-", "/home/me", Some("/home/me/.local/state/ringferry"));
        check(None, "-", false, "", "/home/me", Some("/home/me/.local/state/ringferry"));
        check(None, "s", false, "xdg", "/home/me", Some("/home/me/.local/state/ringferry"));
        check(None, "-", false, "-", "-", None);
    }
}
