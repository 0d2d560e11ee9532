//! Becoming another user for good, with what a reload needs: CAP_NET_BIND_SERVICE, for new addresses on low ports, and
//! CAP_DAC_READ_SEARCH, if the configuration names what the user may not read: keys of mode 0600 that belong to root.
//!
//! A process that opens files for another would hold the same right, and would have to know which files, which is what
//! Landlock does. It would be one more process, and could not tell a good request from one of a proxy that was taken
//! over, since each reload may name new files. Where Landlock is missing, the capability reads every file: `status`
//! says so.
//!
//! Capabilities are those of a thread. The control plane keeps them, cores keep none.

use super::paths::named;
use super::{on, unavailable};
use crate::app::state::State;
use crate::control::MeasureStatus;
use crate::model::Config;
use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};
use nix::fcntl::OFlag;
use nix::sys::prctl::set_keepcaps;
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgroups, setresgid, setresuid};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, lchown};
use std::path::Path;

/// How the change went.
pub(in crate::app) struct UserChange {
    pub(in crate::app) status: MeasureStatus,
    /// Cores have capabilities to give up.
    pub(in crate::app) changed: bool,
}

/// Becomes the user that `config` names. What has to go on as that user is handed over: the admin socket, and our own
/// folder.
pub(in crate::app) fn change_user(
    config: &Config,
    file: Option<&Path>,
    admin: Option<&Path>,
    state: Option<&State>,
) -> UserChange {
    let stays = |status| UserChange { status, changed: false };
    let Some(wanted) = config.privileges.user.as_deref() else { return stays(MeasureStatus::default()) };
    let who = match Who::find(wanted) {
        Ok(who) => who,
        Err(why) => return stays(unavailable(why)),
    };
    if geteuid() == who.uid {
        return stays(on(format!("{wanted}, as it was started")));
    }
    if !geteuid().is_root() {
        return stays(unavailable("only root can become another user; start it as root, or let systemd do it (User=)"));
    }
    // What cannot be handed over is told by whoever needs it.
    let (uid, gid) = (who.uid.as_raw(), who.gid.as_raw());
    if let Some(state) = state {
        let _ = state.hand_over(config, uid, gid);
    }
    // By its name, as it was found: whoever may write in that folder could have put a link there.
    let own_admin = |uid, gid| admin.map(|admin| lchown(admin, Some(uid), Some(gid)));
    let _ = own_admin(uid, gid);
    if let Err(error) = who.become_for_good() {
        let _ = own_admin(0, 0);
        return stays(unavailable(format!("the kernel refuses it: {error}")));
    }
    let unreadable = named(config, file).iter().any(|path| is_refused(path, FOLDERS_DEEP));
    let needed = if unreadable { NEEDED } else { &NEEDED[..1] };
    let detail = match keep(needed) {
        Ok(kept) => told(needed, &kept),
        Err(error) => format!("without capabilities: {error}"),
    };
    UserChange { status: on(format!("{wanted} (uid {uid}), {detail}")), changed: true }
}

/// The calling thread gives up all capabilities. That of a core needs none: it opens no file and binds no address.
pub(in crate::app) fn give_up_capabilities() {
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        // Fewer is always allowed.
        let _ = caps::clear(None, set);
    }
}

/// A user of this machine.
struct Who {
    uid: Uid,
    gid: Gid,
    /// To find the groups that it is in; a number without a name is in none.
    name: Option<CString>,
}

impl Who {
    fn find(wanted: &str) -> Result<Who, String> {
        let number = wanted.parse().ok();
        let found = match number {
            Some(number) => User::from_uid(Uid::from_raw(number)),
            None => User::from_name(wanted),
        };
        match (found, number) {
            (Ok(Some(user)), _) => Ok(Who { uid: user.uid, gid: user.gid, name: CString::new(user.name).ok() }),
            // Images of containers name users by numbers that stand nowhere.
            (Ok(None), Some(number)) => Ok(Who { uid: Uid::from_raw(number), gid: Gid::from_raw(number), name: None }),
            (Ok(None), None) => Err(format!(
                "there is no user {wanted:?}; make one: useradd --system --shell /usr/sbin/nologin {wanted}"
            )),
            (Err(error), _) => Err(format!("the user {wanted:?} cannot be looked up: {error}")),
        }
    }

    /// The capabilities of root stay permitted, and are not in effect. Groups first: a user without privileges cannot
    /// change them.
    fn become_for_good(&self) -> nix::Result<()> {
        set_keepcaps(true)?;
        match &self.name {
            Some(name) => initgroups(name, self.gid)?,
            None => setgroups(&[])?,
        }
        setresgid(self.gid, self.gid, self.gid)?;
        setresuid(self.uid, self.uid, self.uid)?;
        set_keepcaps(false)
    }
}

/// Keeps those of `needed` that root has here: in a container that is not all.
fn keep(needed: &[Capability]) -> Result<CapsHashSet, CapsError> {
    let had = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = needed.iter().copied().filter(|needed| had.contains(needed)).collect();
    caps::set(None, CapSet::Permitted, &kept)?;
    caps::set(None, CapSet::Effective, &kept)?;
    Ok(kept)
}

fn told(needed: &[Capability], kept: &CapsHashSet) -> String {
    let names = |is_kept: bool| -> Vec<String> {
        let those = needed.iter().filter(|needed| kept.contains(needed) == is_kept);
        those.map(|capability| capability.to_string().to_lowercase()).collect()
    };
    match (&names(true)[..], &names(false)[..]) {
        (kept, []) => format!("keeps {}", kept.join(" and ")),
        ([], missing) => format!("without {}, which root does not have here", missing.join(" and ")),
        (kept, missing) => {
            format!("keeps {}, without {}, which root does not have here", kept.join(" and "), missing.join(" and "))
        }
    }
}

/// Whether there is something that this user, without any capability, may not read.
fn is_refused(path: &Path, folders_deep: u32) -> bool {
    // Without waiting: it may be a pipe.
    match File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Err(error) => error.kind() == ErrorKind::PermissionDenied,
        Ok(_) if folders_deep > 0 && path.is_dir() => {
            let mut entries = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
            entries.any(|entry| is_refused(&entry.path(), folders_deep - 1))
        }
        Ok(_) => false,
    }
}

/// For new addresses; for keys of root.
const NEEDED: &[Capability] = &[Capability::CAP_NET_BIND_SERVICE, Capability::CAP_DAC_READ_SEARCH];

/// How `status` tells of the one that Landlock keeps to some folders.
pub(super) const READS_ALL: &str = "keeps cap_net_bind_service and cap_dac_read_search";

/// A folder of certificates, and the folders in it.
const FOLDERS_DEEP: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_told_and_what_root_lacks_itself() {
        let check = |needed: &[Capability], kept: &[Capability], expect: &str| {
            assert_eq!(told(needed, &kept.iter().copied().collect()), expect);
        };
        check(NEEDED, NEEDED, READS_ALL);
        check(&NEEDED[..1], NEEDED, "keeps cap_net_bind_service");
        let half = "keeps cap_net_bind_service, without cap_dac_read_search, which root does not have here";
        check(NEEDED, &NEEDED[..1], half);
        check(&NEEDED[..1], &[], "without cap_net_bind_service, which root does not have here");
    }

    #[test]
    fn a_number_needs_no_name_and_a_name_needs_a_user() {
        let number = Who::find("4000123456").unwrap();
        assert_eq!((number.uid.as_raw(), number.gid.as_raw(), number.name), (4_000_123_456, 4_000_123_456, None));
        assert_eq!(Who::find("root").unwrap().uid.as_raw(), 0);
        let why = Who::find("no-such-user").err().unwrap();
        assert!(why.contains("useradd --system --shell /usr/sbin/nologin no-such-user"), "{why}");
    }
}
