//! Descriptors that come from another process: by a unix socket (SCM_RIGHTS, unix(7)), or left open by whoever has
//! started this one (sd_listen_fds(3)).

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};
use std::env;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Descriptors of a message: SCM_MAX_FD of Linux.
const MESSAGE_DESCRIPTORS: usize = 253;

/// The first number that sd_listen_fds(3) passes.
const FIRST_LEFT_OPEN: RawFd = 3;

/// Sends `line` by a unix socket, and `descriptors` along with it. What they do not fit a message with follows with
/// spaces, one for each further message. It does not wait where the socket does not.
pub fn send_with_descriptors(to: impl AsFd, line: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let descriptors: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let (first, rest) = descriptors.split_at(descriptors.len().min(MESSAGE_DESCRIPTORS));
    send(to.as_fd(), line, first)?;
    rest.chunks(MESSAGE_DESCRIPTORS).try_for_each(|more| send(to.as_fd(), b" ", more))
}

fn send(to: BorrowedFd<'_>, bytes: &[u8], descriptors: &[RawFd]) -> io::Result<()> {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control = if descriptors.is_empty() { &[][..] } else { &rights };
    let sent = sendmsg::<UnixAddr>(to.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Reads a unix socket to its end: all bytes, `bytes_max` of them at most, and the descriptors that came along. An error
/// if a descriptor was lost because this process may have no more.
pub fn receive_with_descriptors(from: impl AsFd, bytes_max: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let (mut bytes, mut descriptors) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; 4096];
    let mut control = nix::cmsg_space!([RawFd; MESSAGE_DESCRIPTORS]);
    loop {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = match recvmsg::<UnixAddr>(from.as_fd().as_raw_fd(), &mut parts, Some(&mut control), flags) {
            Err(Errno::EINTR) => continue,
            received => received?,
        };
        for found in message.cmsgs()? {
            let ControlMessageOwned::ScmRights(numbers) = found else { continue };
            // SAFETY: the kernel has just opened these for this process (SCM_RIGHTS), and nobody else has seen their
            // numbers.
            descriptors.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
        let (len, is_cut) = (message.bytes, message.flags.contains(MsgFlags::MSG_CTRUNC));
        if is_cut {
            return Err(io::Error::other("not all descriptors could be taken: this process may have no more of them"));
        }
        if len == 0 {
            return Ok((bytes, descriptors));
        }
        if bytes.len() + len > bytes_max {
            return Err(io::Error::other(format!("what came is longer than {bytes_max} bytes")));
        }
        bytes.extend_from_slice(&buffer[..len]);
    }
}

/// The sockets that whoever has started this process has left open for it, as sd_listen_fds(3) has it: `LISTEN_FDS` of
/// them, from descriptor 3 on, if `LISTEN_PID` is this process. Each can be had once.
pub fn left_open() -> Vec<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let is_for_us = number("LISTEN_PID") == Some(std::process::id());
    if !is_for_us || TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").and_then(|count| RawFd::try_from(count).ok()).unwrap_or_default();
    let numbers = FIRST_LEFT_OPEN..FIRST_LEFT_OPEN.saturating_add(count);
    numbers.map_while(take_left_open).collect()
}

/// `None` where nothing is open: whoever has set the variables has not done what they say.
fn take_left_open(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: F_SETFD changes a flag of a descriptor, and fails for one that is not open. No program that we start is to
    // have it.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    // SAFETY: it is open, and by the protocol it is ours alone: `left_open` looks at it before this process has opened
    // anything that could have its number, and once, which TAKEN sees to.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn descriptors_come_with_their_line_however_many() {
        for count in [0, 1, MESSAGE_DESCRIPTORS, MESSAGE_DESCRIPTORS + 1] {
            let (from, to) = UnixStream::pair().unwrap();
            let (mut reader, writer) = UnixStream::pair().unwrap();
            let passed = vec![writer.as_fd(); count];
            send_with_descriptors(&from, b"{}\n", &passed).unwrap();
            drop((from, writer));
            let (line, mut descriptors) = receive_with_descriptors(&to, 64).unwrap();
            assert_eq!((line.trim_ascii_end(), descriptors.len()), (&b"{}"[..], count));
            // They are what was sent, and the last one of it.
            let wrote = descriptors.pop().map(|last| File::from(last).write_all(b"here"));
            drop(descriptors);
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, if wrote.is_some() { "here" } else { "" });
        }
    }

    #[test]
    fn what_is_too_long_is_not_read_on() {
        let (mut from, to) = UnixStream::pair().unwrap();
        from.write_all(&[b'x'; 65]).unwrap();
        drop(from);
        assert!(receive_with_descriptors(&to, 64).is_err());
    }

    #[test]
    fn without_the_variables_nothing_is_taken() {
        assert!(left_open().is_empty());
    }
}
