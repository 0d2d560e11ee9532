//! Which files a configuration needs while it runs: the folders that they lie in, since whoever renews a file puts
//! another one in its place. Looks at the disk for links; opens nothing.

use crate::model::{CertificateSource, Config, SiteTls, Trust};
use std::collections::{BTreeSet, HashMap};
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What may be done where: with each folder, and with all below it. Paths are without links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::app) struct Plan {
    /// Files are read.
    pub(in crate::app) read: Vec<PathBuf>,
    /// Files are read, made, written and removed.
    pub(in crate::app) keep: Vec<PathBuf>,
    /// Files are removed.
    pub(in crate::app) remove: Vec<PathBuf>,
    /// Files and folders are removed.
    pub(in crate::app) scratch: Vec<PathBuf>,
    /// Device and inode of each folder that was there when the plan became final: a rule is for that one, not for
    /// another that is put in its place.
    pub(in crate::app) identities: HashMap<PathBuf, (u64, u64)>,
}

impl Plan {
    /// What a configuration needs by itself. `file`: where it is read again; `state`: our own folder.
    pub(in crate::app) fn of(config: &Config, file: Option<&Path>, state: Option<&Path>) -> Plan {
        let mut read = BTreeSet::new();
        for path in named(config, file) {
            add_with_links(&path, &mut read);
        }
        let state = state.and_then(|state| fs::canonicalize(state).ok());
        Plan { read: read.into_iter().collect(), keep: state.into_iter().collect(), ..Plan::default() }
    }

    /// With what every process needs: names, libraries that look names up, and the authorities that this system trusts.
    pub(in crate::app) fn with_system(mut self) -> Plan {
        let mut read: BTreeSet<_> = self.read.into_iter().collect();
        read.extend(SYSTEM.iter().filter_map(|path| fs::canonicalize(path).ok()));
        // They may be links to what a daemon writes elsewhere (systemd-resolved), or to a store of packages.
        for path in RESOLVER.iter().chain(AUTHORITIES).map(Path::new) {
            add(path, &mut read);
        }
        // What the look for authorities reads besides.
        if let Some(file) = env::var_os("SSL_CERT_FILE") {
            add(Path::new(&file), &mut read);
        }
        for folder in env::var_os("SSL_CERT_DIR").iter().flat_map(env::split_paths) {
            add_with_links(&folder, &mut read);
        }
        self.read = read.into_iter().collect();
        self
    }

    /// With the right to remove what is gone at the end: the admin socket, and `scratch`, a folder with all in it.
    pub(in crate::app) fn with_end(mut self, admin: Option<&Path>, scratch: Option<&Path>) -> Plan {
        let folder = |path: Option<&Path>| path.and_then(|path| fs::canonicalize(parent(path)).ok());
        self.remove.extend(folder(admin));
        self.scratch.extend(folder(scratch));
        self
    }

    /// Final: what it allows is in force from here on.
    pub(in crate::app) fn in_force(mut self) -> Plan {
        let folders = self.read.iter().chain(&self.keep);
        self.identities = folders.filter_map(|folder| Some((folder.clone(), identity(folder)?))).collect();
        self
    }

    /// Whether all of `wanted` may be done; else the first path that may not.
    pub(in crate::app) fn allows(&self, wanted: &Plan) -> Result<(), PathBuf> {
        let is_same = |folder: &PathBuf| self.identities.get(folder) == identity(folder).as_ref();
        let is_below = |path: &PathBuf, folders: &[PathBuf]| {
            folders.iter().any(|folder| path.starts_with(folder) && is_same(folder))
        };
        let readable = |path: &PathBuf| is_below(path, &self.read) || is_below(path, &self.keep);
        let unread = wanted.read.iter().find(|path| !readable(path));
        let unkept = wanted.keep.iter().find(|path| !is_below(path, &self.keep));
        unread.or(unkept).map_or(Ok(()), |path| Err(path.clone()))
    }
}

/// The files and folders that a configuration names to be read; itself among them.
pub(super) fn named(config: &Config, file: Option<&Path>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = file.map(Path::to_path_buf).into_iter().collect();
    for site in &config.sites {
        let Some(SiteTls::Terminate(termination)) = &site.tls else { continue };
        for source in &termination.certificates {
            match source {
                CertificateSource::Files { cert, key } => paths.extend([cert.clone(), key.clone()]),
                CertificateSource::Folder(folder) => paths.push(folder.clone()),
                CertificateSource::Internal => {}
            }
        }
        paths.extend(termination.client_ca.clone());
    }
    let servers = config.pools.iter().flat_map(|pool| &pool.servers);
    paths.extend(servers.filter_map(|server| match &server.tls.as_ref()?.trust {
        Trust::Authorities(path) => Some(path.clone()),
        Trust::System | Trust::Anyone => None,
    }));
    paths
}

/// A file or a folder. Of a folder also what the links in it, and in the folders in it, lead to: ACME clients keep
/// their certificates so.
fn add_with_links(path: &Path, read: &mut BTreeSet<PathBuf>) {
    let entries = |folder: &Path| {
        let folder = fs::canonicalize(folder).ok().filter(|folder| !is_root(folder));
        let entries = folder.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.path()).take(ENTRIES_MAX)
    };
    add(path, read);
    for entry in entries(path).filter(|entry| entry.is_symlink() || entry.is_dir()) {
        add(&entry, read);
        entries(&entry).filter(|entry| entry.is_symlink()).for_each(|entry| add(&entry, read));
    }
}

/// A folder; or the one that a file is named in, and the one that it lies in. Never the root of the disk, which all
/// else is below: a file there is added by itself.
fn add(path: &Path, read: &mut BTreeSet<PathBuf>) {
    let found = fs::canonicalize(path);
    let named_in = match &found {
        Ok(found) if found.is_dir() => None,
        // What is not there may come later. If its folder does, too, that is for the next start.
        _ => fs::canonicalize(parent(path)).ok(),
    };
    let lies_in = found.ok().map(|found| match parent(&found) {
        _ if found.is_dir() => found,
        folder if is_root(folder) => found,
        folder => folder.to_owned(),
    });
    read.extend(named_in.into_iter().chain(lies_in).filter(|path| !is_root(path)));
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|folder| (folder.dev(), folder.ino()))
}

fn is_root(folder: &Path) -> bool {
    folder.parent().is_none()
}

/// The folder that a path is in; a path of one word is in the one that the program was started in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

/// Entries of a folder that are looked at for links: as many as certificates are looked for among.
const ENTRIES_MAX: usize = 4096;

/// All of /etc: DHCP clients and editors put another file in the place of resolv.conf or hosts, so a rule on these
/// alone would end with the first change. Libraries: the C library loads those that look names up when it first needs
/// them. The processors: it counts them before it gives a thread memory of its own.
const SYSTEM: &[&str] = &[
    "/etc",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/var/lib/ca-certificates",
    "/sys/devices/system/cpu",
    "/dev/urandom",
];
const RESOLVER: &[&str] = &["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"];
const AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
