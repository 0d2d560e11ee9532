//! Where the admin socket is when neither the command line nor the file says so. Opens nothing.

use super::AdminArg;
use nix::unistd::{AccessFlags, access};
use std::env;
use std::path::{Path, PathBuf};

impl AdminArg {
    /// Where a client verb looks for the running proxy: where one of its own would be, if there is something; else where
    /// the system's is.
    pub(super) fn path(&self) -> PathBuf {
        let or_service = || {
            let own = default();
            if !own.exists() && Path::new(SERVICE).exists() { PathBuf::from(SERVICE) } else { own }
        };
        self.socket.clone().unwrap_or_else(or_service)
    }

    /// Where `run` opens its socket: the command line wins over the file.
    pub(super) fn path_or(&self, from_file: Option<&Path>) -> PathBuf {
        self.socket.as_deref().or(from_file).map_or_else(default, Path::to_path_buf)
    }
}

/// Where a service of the system has it, which may write to a folder of its own alone.
const SERVICE: &str = "/run/ringferry/ringferry.sock";

fn default() -> PathBuf {
    let run_is_writable = access("/run", AccessFlags::W_OK).is_ok();
    // A list, where a unit asks for several.
    let of_service = env::var_os("RUNTIME_DIRECTORY").and_then(|list| env::split_paths(&list).next());
    choose(of_service, run_is_writable, env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from))
}

/// What systemd has made for a service wins; without any directory the answer is still `/run`: the error about it then says
/// what to do.
fn choose(of_service: Option<PathBuf>, run_is_writable: bool, of_user: Option<PathBuf>) -> PathBuf {
    // An empty or relative value is ignored, as the XDG base directory specification asks; systemd gives none.
    let absolute = |dir: &PathBuf| dir.is_absolute();
    let of_user = of_user.filter(|_| !run_is_writable);
    let dir = of_service.filter(absolute).or(of_user.filter(absolute)).unwrap_or_else(|| "/run".into());
    dir.join("ringferry.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(run_is_writable: bool, of_user: Option<&str>, expect: &str) {
        assert_eq!(choose(None, run_is_writable, of_user.map(PathBuf::from)), Path::new(expect));
    }

    #[test]
    fn a_service_has_it_in_a_directory_of_its_own() {
        let of_service = |dir: &str| choose(Some(dir.into()), true, Some("/run/user/1000".into()));
        assert_eq!(of_service("/run/ringferry"), Path::new(SERVICE));
        assert_eq!(of_service(""), Path::new("/run/ringferry.sock"));
    }

    #[test]
    fn the_socket_is_in_run_where_possible_and_else_in_the_directory_of_the_user() {
        check(true, None, "/run/ringferry.sock");
        check(true, Some("/run/user/1000"), "/run/ringferry.sock");
        check(false, Some("/run/user/1000"), "/run/user/1000/ringferry.sock");
        check(false, None, "/run/ringferry.sock");
        check(false, Some(""), "/run/ringferry.sock");
        check(false, Some("tmp"), "/run/ringferry.sock");
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let named = AdminArg { socket: Some("/a".into()) };
        assert_eq!(named.path_or(Some(Path::new("/b"))), Path::new("/a"));
        assert_eq!(AdminArg { socket: None }.path_or(Some(Path::new("/b"))), Path::new("/b"));
    }
}
