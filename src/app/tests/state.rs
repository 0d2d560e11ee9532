//! How our own authority is kept.

use super::{Folder, NOW_S, config};
use crate::app::State;
use crate::tls::{Authority, Problem};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

fn state(folder: &Path) -> State {
    State::of(&config(folder, Vec::new())).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_authority_is_made_once_and_read_from_then_on() {
    let folder = Folder::new();
    let place = folder.path("deep/state");
    let state = state(&place);
    assert!(state.look().unwrap().is_none());
    assert_eq!(folder.names(), [""; 0], "to look writes nothing");
    let first = state.authority(NOW_S).unwrap();
    let again = state.authority(NOW_S).unwrap();
    assert_eq!(again.fingerprint(), first.fingerprint());
    assert_eq!(state.look().unwrap().map(|found| found.fingerprint()), Some(first.fingerprint()));
    let names = ["deep/state", "deep/state/authority.key", "deep/state/authority.pem"];
    assert_eq!(names.map(|name| mode(&folder.path(name))), [0o700, 0o600, 0o644]);
    assert_eq!(Folder(place).names(), ["authority.key", "authority.pem"]);
}

#[test]
fn those_who_start_at_once_have_the_same_authority() {
    const STARTS: usize = 8;
    for _ in 0..5 {
        let folder = Folder::new();
        let together = Barrier::new(STARTS);
        let start = || {
            together.wait();
            state(&folder.0).authority(NOW_S).unwrap().fingerprint()
        };
        let prints: Vec<_> = thread::scope(|scope| {
            let starts: Vec<_> = (0..STARTS).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(prints.iter().all(|print| *print == prints[0]));
        assert_eq!(folder.names(), ["authority.key", "authority.pem"]);
        assert_eq!(state(&folder.0).look().unwrap().unwrap().fingerprint(), prints[0]);
    }
}

#[test]
fn the_copy_for_people_comes_back_and_is_what_is_used() {
    let folder = Folder::new();
    let made = state(&folder.0).authority(NOW_S).unwrap();
    assert_eq!(folder.text("authority.pem"), made.certificate_pem());
    fs::remove_file(folder.path("authority.pem")).unwrap();
    state(&folder.0).authority(NOW_S).unwrap();
    assert_eq!(folder.text("authority.pem"), made.certificate_pem());
    folder.write("authority.pem", "cut off");
    state(&folder.0).authority(NOW_S).unwrap();
    assert_eq!(folder.text("authority.pem"), made.certificate_pem());
}

#[test]
fn what_is_broken_is_told_and_never_replaced() {
    #[track_caller]
    fn check(folder: &Folder, expect: &str) {
        let before = (folder.names(), fs::read(folder.path("authority.key")).ok());
        let told = |problem: Problem| {
            assert!(problem.fault.hint().contains("a new authority is made then"), "{}", problem.fault.hint());
            problem.to_string()
        };
        for found in [state(&folder.0).authority(NOW_S).map(drop), state(&folder.0).look().map(drop)] {
            assert_eq!(found.map_err(told), Err(format!("{}: {expect}", folder.path("authority.key").display())));
        }
        assert_eq!((folder.names(), fs::read(folder.path("authority.key")).ok()), before);
    }
    let folder = Folder::new();
    state(&folder.0).authority(NOW_S).unwrap();
    let whole = folder.text("authority.key");
    folder.write("authority.key", "");
    check(&folder, "cannot be used as our authority: no certificate in it");
    folder.write("authority.key", &whole[..whole.find("-----BEGIN PRIVATE KEY").unwrap()]);
    check(&folder, "cannot be used as our authority: no private key in it");
    folder.write("authority.key", &whole[..whole.len() - 30]);
    check(&folder, "cannot be used as our authority: the PEM text is damaged");
    // Put back from a copy of another machine.
    folder.write("authority.key", &Authority::new("other", NOW_S).unwrap().to_pem());
    check(&folder, "cannot be used as our authority: the private key does not belong to the certificate");
    fs::remove_file(folder.path("authority.key")).unwrap();
    check(&folder, "the certificate of our authority is there, and its key is not");
    // Moved away, as the hint says.
    fs::remove_file(folder.path("authority.pem")).unwrap();
    assert!(state(&folder.0).authority(NOW_S).is_ok());
}

#[test]
fn a_renewed_authority_takes_the_place_of_the_old_one() {
    let folder = Folder::new();
    let old = state(&folder.0).authority(NOW_S).unwrap();
    let late_s = old.validity_s().end() - 1;
    let new = state(&folder.0).authority(late_s).unwrap();
    assert_ne!(new.fingerprint(), old.fingerprint());
    assert_eq!(state(&folder.0).authority(late_s).unwrap().fingerprint(), new.fingerprint());
    assert_eq!(folder.text("authority.pem"), new.certificate_pem());
    assert_eq!(mode(&folder.path("authority.key")), 0o600);
    assert_eq!(folder.names(), ["authority.key", "authority.pem"]);
}

#[test]
fn a_folder_that_cannot_be_had_is_told() {
    let folder = Folder::new();
    let file = folder.write("file", "");
    let told = |state: State| state.authority(NOW_S).map(drop).map_err(|problem| problem.to_string());
    let why = told(state(&file)).unwrap_err();
    assert!(why.starts_with(&format!("{}/authority.key: cannot be read: ", file.display())), "{why}");
    // Nobody, root included, makes folders here.
    let why = told(state("/proc/ringferry".as_ref())).unwrap_err();
    assert!(why.starts_with("/proc/ringferry: cannot be written: "), "{why}");
}
