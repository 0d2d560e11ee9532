//! Where the admin socket is when neither the command line nor the file says so. Opens nothing.

use super::AdminArg;
use nix::unistd::{AccessFlags, access};
use std::path::{Path, PathBuf};

impl AdminArg {
    /// Where a client verb looks for the running proxy.
    pub(super) fn path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(default)
    }

    /// Where `run` opens its socket: the command line wins over the file.
    pub(super) fn path_or(&self, from_file: Option<&Path>) -> PathBuf {
        self.socket.as_deref().or(from_file).map_or_else(default, Path::to_path_buf)
    }
}

fn default() -> PathBuf {
    let run_is_writable = access("/run", AccessFlags::W_OK).is_ok();
    choose(run_is_writable, std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from))
}

/// Without either directory the answer is still `/run`: the error about it then says what to do.
fn choose(run_is_writable: bool, user_dir: Option<PathBuf>) -> PathBuf {
    let dir = match user_dir {
        // An empty or relative value is ignored, as the XDG base directory specification asks.
        Some(dir) if !run_is_writable && dir.is_absolute() => dir,
        _ => PathBuf::from("/run"),
    };
    dir.join("ringferry.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(run_is_writable: bool, user_dir: Option<&str>, expect: &str) {
        assert_eq!(choose(run_is_writable, user_dir.map(PathBuf::from)), Path::new(expect));
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
