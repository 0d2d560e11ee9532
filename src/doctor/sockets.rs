//! What the kernel holds for sockets, and how many connections may wait.
//!
//! Cores ask for as much as pays (`runtime/src/sys/hold.rs`) and take what they get.

use super::files::Files;
use super::{Advice, Finding, size};
use ringferry_runtime::probe::WANTED;

/// What an administrator allows; `None` where it is not told, as in a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sockets {
    receive_max: Option<u64>,
    send_max: Option<u64>,
    /// How far the kernel goes by itself.
    send_tuned: Option<u64>,
    backlog: Option<u64>,
}

pub(super) fn read(files: &Files) -> Sockets {
    Sockets {
        receive_max: files.number("/proc/sys/net/core/rmem_max"),
        send_max: files.number("/proc/sys/net/core/wmem_max"),
        send_tuned: files.number("/proc/sys/net/ipv4/tcp_wmem"),
        backlog: files.number("/proc/sys/net/core/somaxconn"),
    }
}

pub(super) fn judge_buffers(sockets: &Sockets, advice: &Advice<'_>) -> Finding {
    let (Some(receive), Some(send)) = (sockets.receive_max, sockets.send_max) else {
        return Finding::ok("socket_buffers", "cannot be seen in here: they are those of the host");
    };
    let (mut seen, mut settings) = (Vec::new(), Vec::new());
    if receive < WANTED.receive_bytes {
        seen.push(format!("{} of what comes, where {} would pay", size(receive), size(WANTED.receive_bytes)));
        settings.push(format!("net.core.rmem_max={}", WANTED.receive_bytes));
    }
    // Where the kernel stays within what we ask for, it decides, and nothing is lost.
    let is_left_to_kernel = sockets.send_tuned.is_some_and(|tuned| tuned <= 2 * WANTED.send_bytes);
    if send < WANTED.send_bytes && !is_left_to_kernel {
        seen.push(format!("{} of what is sent, where {} would pay", size(send), size(WANTED.send_bytes)));
        settings.push(format!("net.core.wmem_max={}", WANTED.send_bytes));
    }
    if settings.is_empty() {
        let told = format!("up to {} of what comes, {} of what is sent", size(receive), size(send));
        return Finding::ok("socket_buffers", told);
    }
    let seen = format!("up to {}: long bodies go in smaller steps, bursts of datagrams get lost", seen.join(", "));
    Finding::hint("socket_buffers", seen, advice.sysctl(&settings))
}

pub(super) fn judge_backlog(sockets: &Sockets, advice: &Advice<'_>) -> Finding {
    match sockets.backlog {
        None => Finding::ok("backlog", "cannot be seen in here"),
        Some(backlog) if backlog < WANTED.backlog => {
            let wanted = WANTED.backlog;
            let seen =
                format!("{backlog} connections may wait on each core, of {wanted} asked for; more are turned away");
            let setting = format!("net.core.somaxconn={wanted}");
            // This one each container has for itself.
            let todo = match advice.container {
                Some(container) if container.is_docker() => format!("docker run --sysctl {setting}"),
                _ => advice.sysctl(&[setting]),
            };
            Finding::hint("backlog", seen, todo)
        }
        Some(backlog) => Finding::ok("backlog", format!("{backlog} connections may wait")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;
    use crate::doctor::container::Container;

    const HERE: Advice<'_> = Advice { container: None };
    /// As Linux comes.
    const USUAL: &Files = &Files::Planted(&[
        ("/proc/sys/net/core/rmem_max", "212992\n"),
        ("/proc/sys/net/core/wmem_max", "212992\n"),
        ("/proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n"),
        ("/proc/sys/net/core/somaxconn", "4096\n"),
    ]);

    #[test]
    fn what_pays_is_told_with_the_setting() {
        let found = judge_buffers(&read(USUAL), &HERE);
        assert_eq!(found.level, Level::Hint);
        assert_eq!(found.todo.as_deref(), Some("sudo sysctl -w net.core.rmem_max=4194304"));
        let tuned = Sockets { send_tuned: Some(6 << 20), ..read(USUAL) };
        let found = judge_buffers(&tuned, &HERE);
        let expect = "sudo sysctl -w net.core.rmem_max=4194304 net.core.wmem_max=2097152";
        assert_eq!(found.todo.as_deref(), Some(expect));
        let large = Sockets { receive_max: Some(4 << 20), ..read(USUAL) };
        assert_eq!(judge_buffers(&large, &HERE).level, Level::Ok);
        // As in a container, whose files have none of it.
        assert_eq!(judge_buffers(&read(&Files::Planted(&[])), &HERE).level, Level::Ok);
    }

    #[test]
    fn the_example_of_the_package_has_what_is_asked_for() {
        let example = include_str!("../../cross/debian/sysctl.conf");
        let settings = example.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let settings: Vec<String> = settings.map(|line| line.replace(' ', "")).collect();
        let expect = [
            format!("net.core.rmem_max={}", WANTED.receive_bytes),
            format!("net.core.wmem_max={}", WANTED.send_bytes),
            format!("net.core.somaxconn={}", WANTED.backlog),
        ];
        assert_eq!(settings, expect);
    }

    #[test]
    fn a_short_queue_is_told() {
        assert_eq!(judge_backlog(&read(USUAL), &HERE).level, Level::Ok);
        let short = Sockets { backlog: Some(128), ..read(USUAL) };
        let found = judge_backlog(&short, &HERE);
        assert_eq!(found.todo.as_deref(), Some("sudo sysctl -w net.core.somaxconn=4096"));
        let docker = Container::planted("docker");
        let found = judge_backlog(&short, &Advice { container: Some(&docker) });
        assert_eq!(found.todo.as_deref(), Some("docker run --sysctl net.core.somaxconn=4096"));
    }
}
