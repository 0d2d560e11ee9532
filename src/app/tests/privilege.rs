//! Which paths are kept to, and what a process that has given up the rest can still do: tried in a process of its own,
//! since nothing of it can be had back.

use super::{Folder, config, files, site};
use crate::app::privilege::{Plan, confine, refusals, rings, seal, summary};
use crate::control::{MeasureState, MeasureStatus, PrivilegeStatus};
use crate::model::{CertificateSource, Config, Privileges};
use ringferry_runtime::{Core, KernelChoice, KernelError, RingRestriction, Settings};
use socket2::{Domain, Socket, Type};
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::net::ToSocketAddrs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const ALL: Privileges =
    Privileges { user: None, no_new_privs: true, landlock: true, restrict_rings: true, seccomp: true };

/// The folders of a plan that lie in `folder`, from there on.
fn inside(folder: &Folder, paths: &[PathBuf]) -> Vec<String> {
    let root = fs::canonicalize(&folder.0).unwrap();
    let inside = paths.iter().filter_map(|path| path.strip_prefix(&root).ok());
    inside.map(|path| path.display().to_string()).collect()
}

fn of_folder(path: PathBuf) -> Config {
    config("/nowhere".as_ref(), vec![site("a.test", &[CertificateSource::Folder(path)], None)])
}

fn make_folders(folder: &Folder, names: &[&str]) {
    names.iter().for_each(|name| fs::create_dir_all(folder.path(name)).unwrap());
}

#[test]
fn the_folders_of_what_is_named_can_be_read_and_those_that_links_lead_to() {
    let folder = Folder::new();
    make_folders(&folder, &["etc", "keys", "live/a.test", "archive/a.test", "ca", "state"]);
    folder.write("archive/a.test/cert1.pem", "");
    symlink("../../archive/a.test/cert1.pem", folder.path("live/a.test/cert.pem")).unwrap();
    let source = files(&folder.path("live/a.test/cert.pem"), &folder.path("keys/not-there-yet.key"));
    let lost = files(&folder.path("nowhere/a.pem"), &folder.path("nowhere/a.key"));
    let ca = folder.path("ca/clients.pem");
    let config =
        config(&folder.path("state"), vec![site("a.test", &[source, lost, CertificateSource::Internal], Some(&ca))]);
    let plan = Plan::of(&config, Some(&folder.path("etc/ringferry.toml")), Some(&folder.path("state")));
    assert_eq!(inside(&folder, &plan.read), ["archive/a.test", "ca", "etc", "keys", "live/a.test"]);
    assert_eq!(inside(&folder, &plan.keep), ["state"]);
    assert_eq!((plan.remove.len(), plan.scratch.len()), (0, 0));

    let end = plan.with_end(Some(&folder.path("etc/admin.sock")), Some(&folder.path("state/demo")));
    assert_eq!(
        (inside(&folder, &end.remove), inside(&folder, &end.scratch)),
        (vec!["etc".into()], vec!["state".into()])
    );
}

#[test]
fn a_folder_of_certificates_is_looked_through_for_links() {
    let folder = Folder::new();
    make_folders(&folder, &["live/a.test", "archive/a.test", "elsewhere"]);
    folder.write("archive/a.test/cert1.pem", "");
    folder.write("elsewhere/b.pem", "");
    symlink("../../archive/a.test/cert1.pem", folder.path("live/a.test/cert.pem")).unwrap();
    symlink("../elsewhere/b.pem", folder.path("live/b.pem")).unwrap();
    let plan = Plan::of(&of_folder(folder.path("live")), None, None);
    assert_eq!(inside(&folder, &plan.read), ["archive/a.test", "elsewhere", "live", "live/a.test"]);
}

#[test]
fn nothing_opens_the_whole_disk() {
    let folder = Folder::new();
    symlink("/", folder.path("root")).unwrap();
    symlink("/no-such-file.pem", folder.path("lost.pem")).unwrap();
    let all = |path: &Path| Plan::of(&of_folder(path.to_owned()), Some("/no-such-file.toml".as_ref()), None).read;
    assert_eq!(inside(&folder, &all(&folder.0)), [""]);
    assert_eq!(all(&folder.0).len(), 1);
    assert!(!all("/".as_ref()).contains(&"/".into()));
}

#[test]
fn a_plan_allows_what_lies_below_it_and_names_what_does_not() {
    let folder = Folder::new();
    make_folders(&folder, &["etc/sub", "certs/a.test", "certs2", "state", "live"]);
    let root = fs::canonicalize(&folder.0).unwrap();
    let plan = |read: &[&str], keep: &[&str]| Plan {
        read: read.iter().map(|name| root.join(name)).collect(),
        keep: keep.iter().map(|name| root.join(name)).collect(),
        ..Plan::default()
    };
    let has = plan(&["etc", "certs", "live"], &["state"]).in_force();
    let check = |read: &[&str], keep: &[&str], expect: Result<(), &str>| {
        assert_eq!(has.allows(&plan(read, keep)), expect.map_err(|name| root.join(name)), "{read:?} {keep:?}");
    };
    check(&[], &[], Ok(()));
    check(&["etc", "etc/sub", "certs/a.test", "live", "state"], &["state"], Ok(()));
    check(&["etc", "certs2"], &[], Err("certs2"));
    check(&[""], &[], Err(""));
    check(&["etc"], &["etc"], Err("etc"));
    // Another folder of the same name, as a tool that replaces all of it at once leaves.
    fs::rename(folder.path("live"), folder.path("before")).unwrap();
    make_folders(&folder, &["live"]);
    check(&["live"], &[], Err("live"));
}

#[test]
fn what_names_are_looked_up_with_is_part_of_every_plan() {
    let plan = Plan::default().with_system();
    let resolver = ["/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf"];
    for file in resolver.iter().filter_map(|file| fs::canonicalize(file).ok()) {
        assert!(plan.read.iter().any(|folder| file.starts_with(folder)), "{}: {plan:?}", file.display());
    }
    assert!(!plan.read.contains(&PathBuf::from("/")), "{plan:?}");
}

/// Says to the process that is started for the test which folder is its own.
const CHILD: &str = "RINGFERRY_TEST_PRIVILEGES_OF";

#[test]
fn what_was_given_up_is_refused_and_what_is_needed_still_works() {
    if let Some(folder) = env::var_os(CHILD) {
        return give_up_and_try(folder.as_ref());
    }
    let folder = Folder::new();
    make_folders(&folder, &["named", "other", "state"]);
    folder.write("named/a.pem", "named");
    folder.write("other/secret", "secret");
    let name = "app::tests::privilege::what_was_given_up_is_refused_and_what_is_needed_still_works";
    let mut child = Command::new(env::current_exe().unwrap());
    let output = child.args(["--exact", name, "--nocapture"]).env(CHILD, &folder.0).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

fn give_up_and_try(folder: &Path) {
    let (named, secret) = (folder.join("named/a.pem"), folder.join("other/secret"));
    let state = folder.join("state");
    let is_refused = |path: &Path| fs::read(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    let core_on = |kernel| Core::new(&Settings { kernel, ..Settings::default() });
    let ring_is_refused = || matches!(core_on(KernelChoice::Uring), Err(KernelError::Refused(_)));
    let had_rings = !ring_is_refused();
    assert!(!is_refused(&named) && !is_refused(&secret), "before");

    let mut status = PrivilegeStatus::default();
    let plan = Plan::of(&of_folder(folder.join("named")), None, Some(&state)).with_system();
    confine(&ALL, &plan, &mut status);
    seal(&ALL, &mut status);

    // What is told is what is seen, whatever this kernel has.
    let by_landlock = status.landlock.is_on();
    assert_eq!(is_refused(&secret), by_landlock, "{status:?}");
    assert_eq!(fs::write(folder.join("named/new"), "").is_err(), by_landlock);
    assert_eq!(fs::read_to_string(&named).unwrap(), "named");
    fs::write(state.join("draft"), "kept").unwrap();
    fs::rename(state.join("draft"), state.join("authority.key")).unwrap();
    fs::remove_file(state.join("authority.key")).unwrap();

    let by_seccomp = status.seccomp.is_on();
    assert_eq!(ring_is_refused(), by_seccomp || !had_rings, "{status:?}");
    assert_eq!(Command::new("/proc/self/exe").arg("--list").output().is_err(), by_seccomp || by_landlock);
    let socket = |family: i32| Socket::new(Domain::from(family), Type::from(libc::SOCK_SEQPACKET), None);
    let odd = socket(libc::AF_ALG).map(drop).map_err(|error| error.raw_os_error());
    assert_eq!(odd == Err(Some(libc::EPERM)), by_seccomp, "{odd:?}");

    // Threads, sockets and names are what the control plane goes on with.
    let threads = std::thread::spawn(|| ("localhost", 80).to_socket_addrs().map(|found| found.count()));
    assert!(threads.join().unwrap().unwrap() > 0);
    Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Descriptors are kept in reserve by sockets of this kind; and no core on epoll has made a ring.
    UnixDatagram::unbound().unwrap();
    core_on(KernelChoice::Epoll).unwrap().turn(Some(Duration::ZERO));
}

#[test]
fn what_is_in_force_is_told_in_a_few_words_and_what_is_not_with_its_switch() {
    let on = |detail: &str| MeasureStatus { state: MeasureState::On, detail: detail.to_owned() };
    let unavailable = |detail: &str| MeasureStatus { state: MeasureState::Unavailable, detail: detail.to_owned() };
    let mut status = PrivilegeStatus::default();
    assert_eq!((summary(&status), refusals(&status).count()), (String::new(), 0));
    status.user = on("ringferry (uid 990), keeps cap_net_bind_service");
    status.seccomp = on("");
    status.rings = rings(&[RingRestriction::On, RingRestriction::On]);
    assert_eq!(summary(&status), "; confined by user ringferry, restricted rings, seccomp");
    status.user = unavailable("there is no user \"ringferry\"");
    status.landlock = unavailable("this kernel has no Landlock");
    status.rings = rings(&[RingRestriction::On, RingRestriction::Refused("EINVAL".into())]);
    assert_eq!(summary(&status), "; confined by seccomp");
    let told: Vec<_> = refusals(&status).collect();
    assert_eq!(
        told,
        [
            "warning: privileges.user: still who started it: there is no user \"ringferry\"",
            "not confined by Landlock: this kernel has no Landlock; landlock = false in [privileges] does without",
            "not confined by restricted rings: the kernel refuses it: EINVAL; Linux 6.1 has it; \
             restrict_rings = false in [privileges] does without",
        ]
    );
    assert_eq!(rings(&[RingRestriction::Off]), MeasureStatus::default());
}
