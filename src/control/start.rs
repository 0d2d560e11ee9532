//! How this process was started, for whoever starts its successor: `ringferry upgrade`.

use serde::{Deserialize, Serialize};
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What another process like this one is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Of the program.
    pub version: String,
    /// Of the process.
    pub pid: u32,
    /// The file of the program, even if another has its name by now.
    pub program: Option<FileId>,
    /// Its arguments, without its name.
    pub arguments: Vec<String>,
    /// The folder that it was started in.
    pub folder: PathBuf,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// The control group that it is in, as /proc/self/cgroup tells it.
    pub group: String,
}

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// The device that it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

impl Start {
    /// Of this process; an error says why no other can be started like it. To be asked while files can still be read.
    pub fn of_process() -> Result<Start, String> {
        let text = |text: std::ffi::OsString| text.into_string();
        let arguments: Result<Vec<String>, _> = env::args_os().skip(1).map(text).collect();
        let arguments = arguments.map_err(|argument| format!("its argument {argument:?} is not UTF-8"))?;
        let folder = env::current_dir().map_err(|error| format!("the folder that it was started in: {error}"))?;
        // A variable that cannot be told in JSON is none of ours.
        let environment = env::vars_os().filter_map(|(name, value)| Some((text(name).ok()?, text(value).ok()?)));
        let environment = environment.filter(|(name, _)| !OF_ONE_PROCESS.contains(&name.as_str()));
        Ok(Start {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            program: running_program(),
            arguments,
            folder,
            environment: environment.collect(),
            group: control_group(),
        })
    }

    /// The service of systemd that it runs as, `ringferry.service`.
    pub fn service(&self) -> Option<&str> {
        let mut groups = self.group.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        // Version 2, or that of version 1 that systemd has for itself.
        let (_, path) = groups.find(|(kinds, path)| matches!(*kinds, "" | "name=systemd") && path.len() > 1)?;
        let is_told = self.environment.iter().any(|(name, _)| name == "NOTIFY_SOCKET");
        path.rsplit('/').find(|group| group.ends_with(".service")).filter(|_| is_told)
    }
}

/// The variable that names, to a process that is to take over from another, the admin socket of that one.
pub const PREDECESSOR: &str = "RINGFERRY_PREDECESSOR";

/// Variables that are meant for one process, and not for another like it.
const OF_ONE_PROCESS: &[&str] = &["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID", PREDECESSOR];

/// The file of the program that this process runs.
pub fn running_program() -> Option<FileId> {
    // Through the link the file itself is seen, although it may have been replaced or removed.
    let file = fs::metadata(Path::new("/proc/self/exe")).ok()?;
    Some(FileId { device: file.dev(), inode: file.ino() })
}

/// The control group of this process.
pub fn control_group() -> String {
    fs::read_to_string("/proc/self/cgroup").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_known_by_its_group_if_systemd_wants_to_hear_of_it() {
        #[track_caller]
        fn check(group: &str, environment: &[(&str, &str)], expect: Option<&str>) {
            let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            let start = Start { group: group.to_owned(), environment, ..Start::default() };
            assert_eq!(start.service(), expect);
        }
        let told = [("NOTIFY_SOCKET", "/run/systemd/notify")];
        check("0::/system.slice/ringferry.service\n", &told, Some("ringferry.service"));
        check("0::/system.slice/ringferry.service\n", &[], None);
        check("0::/user.slice/user-1000.slice/session-1.scope\n", &told, None);
        let nested = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service/inner\n";
        check(nested, &told, Some("web.service"));
        let first = "5:memory:/a.service\n1:name=systemd:/system.slice/ringferry.service\n0::/\n";
        check(first, &told, Some("ringferry.service"));
        check("", &told, None);
    }

    #[test]
    fn this_process_can_be_started_again() {
        let start = Start::of_process().unwrap();
        assert_eq!((start.pid, start.program), (std::process::id(), running_program()));
        assert!(start.program.is_some() && start.folder.is_absolute());
    }
}
