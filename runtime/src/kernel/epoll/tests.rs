use super::*;
use crate::buf::{Chunk, Gather, Group, GroupSettings};
use crate::kernel::Wait;
use crate::sys::epoll::{READABLE, WRITABLE};
use crate::sys::socket;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::{UnixListener, UnixStream};

fn kernel() -> Epoll {
    let group = GroupSettings { bytes: 64, count: 4, published: 1 };
    let settings = KernelSettings { submissions: 8, restrict: true, groups: [group; 3] };
    Epoll::new(&settings, Arc::new(Remote::new().unwrap())).unwrap()
}

fn token(index: u32) -> Token {
    Token { index, generation: 7 }
}

fn non_blocking_pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    (near, far)
}

/// One turn: all that it brings. Time that passes is told, so that nothing is left alone for long.
fn turn(kernel: &mut Epoll, clock: &mut Instant) -> Vec<Completion> {
    *clock = *clock + RETRY_AFTER;
    kernel.wait(Some(Duration::ZERO), *clock);
    std::iter::from_fn(|| kernel.next()).collect()
}

/// The next completion, however many turns it takes.
fn next(kernel: &mut Epoll) -> Completion {
    let (began, mut clock) = (std::time::Instant::now(), Instant::default());
    loop {
        if let Some(completion) = kernel.next() {
            return completion;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "hangs");
        clock = clock + RETRY_AFTER;
        kernel.wait(Some(Duration::from_millis(1)), clock);
    }
}

#[test]
fn an_operation_with_a_bad_descriptor_completes_with_an_error_and_returns_its_memory() {
    let mut kernel = kernel();
    kernel.submit(token(3), Op::Send { fd: -1, chunk: b"bytes"[..].into(), wait: Wait::All });
    let done = next(&mut kernel);
    assert_eq!((done.token, done.result, done.more), (token(3), -libc::EBADF, false));
    assert!(matches!(done.held, Held::Chunk(chunk) if chunk[..] == b"bytes"[..]));
    for op in [Op::Recv { fd: -1, group: Group::Head }, Op::Poll { fd: -1, events: READABLE }, Op::Accept { fd: -1 }] {
        kernel.submit(token(3), op);
        assert!(next(&mut kernel).result < 0);
    }
    assert_eq!((kernel.unfinished(), kernel.groups.lent(Group::Head)), (0, (0, 4)));
}

#[test]
fn a_descriptor_that_epoll_does_not_take_is_an_error() {
    let file = File::open("/proc/self/exe").unwrap();
    let mut kernel = kernel();
    // A file is always ready, but not for this.
    kernel.submit(token(0), Op::Poll { fd: file.as_raw_fd(), events: 0 });
    assert_eq!(next(&mut kernel).result, -libc::EPERM);
    assert_eq!(kernel.unfinished(), 0);
}

#[test]
fn the_end_that_comes_with_the_last_bytes_is_told_behind_them() {
    let mut kernel = kernel();
    for is_watched in [true, false] {
        let (near, mut far) = non_blocking_pair();
        let fd = near.as_raw_fd();
        let submit = |kernel: &mut Epoll| kernel.submit(token(1), Op::RecvMulti { fd, group: Group::Head });
        if is_watched {
            submit(&mut kernel);
        }
        far.write_all(b"last").unwrap();
        drop(far);
        if !is_watched {
            submit(&mut kernel);
        }
        let bytes = next(&mut kernel);
        assert_eq!((bytes.result, bytes.more, &bytes.lent.unwrap()[..]), (4, true, &b"last"[..]));
        let end = next(&mut kernel);
        assert_eq!((end.result, end.more, end.lent.is_none()), (0, false, true));
        // Who asks again is told again.
        kernel.submit(token(1), Op::Recv { fd, group: Group::Head });
        assert_eq!(next(&mut kernel).result, 0);
        kernel.forget(fd);
    }
}

#[test]
fn what_follows_urgent_data_is_not_forgotten() {
    let mut kernel = kernel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (generation, is_watched) in [(1, true), (2, false)] {
        let token = Token { index: 1, generation };
        let far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        let fd = near.as_raw_fd();
        let submit = |kernel: &mut Epoll| kernel.submit(token, Op::RecvMulti { fd, group: Group::Head });
        if is_watched {
            submit(&mut kernel);
        }
        (&far).write_all(b"before").unwrap();
        socket2::SockRef::from(&far).send_out_of_band(b"!").unwrap();
        (&far).write_all(b"behind").unwrap();
        if !is_watched {
            submit(&mut kernel);
        }
        // The receive stops at the mark, although all of it has come.
        let mut got = Vec::new();
        while got != b"beforebehind" {
            let brought = next(&mut kernel);
            assert!(brought.more && brought.result > 0);
            got.extend_from_slice(&brought.lent.unwrap());
        }
        kernel.submit_detached(Op::Cancel { target: token });
        assert_eq!(next(&mut kernel).result, -libc::ECANCELED);
        kernel.forget(fd);
    }
}

#[test]
fn a_stream_that_never_ends_has_its_share_of_a_turn_and_goes_on_in_the_next() {
    let mut kernel = kernel();
    let mut clock = Instant::default();
    let ((near, mut far), (other, mut quiet)) = (non_blocking_pair(), non_blocking_pair());
    kernel.submit(token(0), Op::RecvMulti { fd: near.as_raw_fd(), group: Group::Head });
    kernel.submit(token(1), Op::RecvMulti { fd: other.as_raw_fd(), group: Group::Head });
    far.write_all(&[1; 10 * 64]).unwrap();
    quiet.write_all(b"ping").unwrap();
    let (mut got, mut others, mut turns) = (0, 0, 0);
    while got < 640 || others == 0 {
        let brought = turn(&mut kernel, &mut clock);
        let of_first = brought.iter().filter(|completion| completion.token == token(0));
        let bytes: i32 = of_first.map(|completion| completion.result).sum();
        assert!(bytes <= 2 * 64, "more than its share: {bytes}");
        got += bytes;
        others += brought.iter().filter(|completion| completion.token == token(1)).count();
        turns += 1;
        assert!(turns < 40, "{got} bytes, {others} of the other");
    }
    kernel.submit_detached(Op::CancelAll);
    assert_eq!(turn(&mut kernel, &mut clock).len(), 2);
    assert_eq!(kernel.unfinished(), 0);
}

#[test]
fn a_send_goes_on_until_it_is_whole_and_a_cancelled_one_tells_what_went() {
    let mut kernel = kernel();
    for is_gather in [false, true] {
        let (near, mut far) = non_blocking_pair();
        let fd = near.as_raw_fd();
        let bytes: Vec<u8> = (0..1 << 20).map(|n: u32| (n / 7) as u8).collect();
        let send = |kernel: &mut Epoll| {
            let chunk = Chunk::from(bytes.clone());
            let op = if is_gather {
                let chunks = [Some(b"head"[..].into()), Some(chunk), Some(b"tail"[..].into())];
                Op::SendGather { fd, gather: Gather::new(chunks), wait: Wait::All }
            } else {
                Op::Send { fd, chunk, wait: Wait::All }
            };
            kernel.submit(token(2), op);
        };
        let expect = if is_gather { [b"head", &bytes[..], b"tail"].concat() } else { bytes.clone() };
        send(&mut kernel);
        let len = expect.len();
        let reader = std::thread::spawn(move || {
            let mut got = vec![0; len];
            far.read_exact(&mut got).unwrap();
            (far, got)
        });
        let sent = next(&mut kernel);
        assert_eq!((sent.result as usize, sent.more), (len, false));
        let (far, got) = reader.join().unwrap();
        assert!(got == expect);
        // Nobody reads any more.
        send(&mut kernel);
        kernel.submit_detached(Op::Cancel { target: token(2) });
        let cut = next(&mut kernel);
        assert!(cut.result > 0 && (cut.result as usize) < len);
        // What has gone is kept back no more than what has not; the memory is as it was given.
        assert!(matches!(cut.held, Held::Chunk(chunk) if chunk[..] == bytes[..]) || is_gather);
        kernel.submit(token(2), Op::Send { fd, chunk: b"more"[..].into(), wait: Wait::Nothing });
        assert_eq!(next(&mut kernel).result, -libc::EAGAIN);
        drop(far);
        kernel.forget(fd);
    }
    assert_eq!(kernel.unfinished(), 0);
}

#[test]
fn a_cancel_ends_its_target_alone_and_may_come_too_late() {
    let mut kernel = kernel();
    let (near, mut far) = non_blocking_pair();
    let fd = near.as_raw_fd();
    // Several that wait for one descriptor; they are cancelled from either end and from the middle.
    for victim in 0..4 {
        for index in 0..4 {
            kernel.submit(token(index), Op::Poll { fd, events: READABLE });
        }
        kernel.submit_detached(Op::Cancel { target: Token { index: victim, generation: 8 } });
        kernel.submit_detached(Op::Cancel { target: token(40) });
        kernel.submit_detached(Op::Cancel { target: token(victim) });
        let cancelled = next(&mut kernel);
        assert_eq!((cancelled.token, cancelled.result), (token(victim), -libc::ECANCELED));
        far.write_all(b"x").unwrap();
        let mut told: Vec<_> = (0..3).map(|_| next(&mut kernel)).map(|done| (done.token.index, done.result)).collect();
        told.sort_unstable();
        let others: Vec<_> = (0..4).filter(|index| *index != victim).map(|index| (index, READABLE as i32)).collect();
        assert_eq!(told, others);
        kernel.submit_detached(Op::Cancel { target: token(victim) });
        assert_eq!(kernel.unfinished(), 0);
        (&near).read_exact(&mut [0]).unwrap();
    }
    kernel.forget(fd);
}

#[test]
fn both_directions_of_a_descriptor_wait_side_by_side() {
    let mut kernel = kernel();
    let (near, mut far) = non_blocking_pair();
    let fd = near.as_raw_fd();
    while (&near).write(&[0; 4096]).is_ok() {}
    kernel.submit(token(0), Op::Recv { fd, group: Group::Head });
    kernel.submit(token(1), Op::Send { fd, chunk: b"out"[..].into(), wait: Wait::All });
    kernel.submit(token(2), Op::Poll { fd, events: WRITABLE });
    assert!(turn(&mut kernel, &mut Instant::default()).is_empty());
    far.write_all(b"in").unwrap();
    let received = next(&mut kernel);
    assert_eq!((received.token, &received.lent.unwrap()[..]), (token(0), &b"in"[..]));
    far.set_nonblocking(true).unwrap();
    let mut sink = [0; 4096];
    while far.read(&mut sink).is_ok() {}
    let mut ended = [next(&mut kernel).token.index, next(&mut kernel).token.index];
    ended.sort_unstable();
    assert_eq!(ended, [1, 2]);
}

#[test]
fn a_duplicate_that_is_closed_is_watched_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut kernel = kernel();
    let fd = listener.try_clone().unwrap().into_raw_fd();
    kernel.submit(token(0), Op::Accept { fd });
    kernel.submit_detached(Op::Cancel { target: token(0) });
    assert_eq!(next(&mut kernel).result, -libc::ECANCELED);
    kernel.submit_detached(Op::Close { fd });
    // The file lives on in `listener`, and with it would the registration.
    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_eq!(kernel.watches.wait(Some(Duration::ZERO)).unwrap(), 0, "events of a descriptor that is gone");
    assert_eq!(kernel.unfinished(), 0);
}

#[test]
fn a_unix_connect_waits_for_room_in_a_full_queue() {
    let dir = std::env::temp_dir().join(format!("ringferry-epoll-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    // SAFETY: no memory is passed; a second listen changes the length of the queue.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let mut kernel = kernel();
    let sockets: Vec<_> = (0..4).map(|_| Socket::own(socket::unix().unwrap())).collect();
    for (index, socket) in sockets.iter().enumerate() {
        kernel.submit(token(index as u32), Op::ConnectUnix { fd: socket.raw(), path: path.clone() });
    }
    let mut clock = Instant::default();
    let connected: usize = (0..5).map(|_| turn(&mut kernel, &mut clock).len()).sum();
    assert!(connected < sockets.len(), "the queue is longer than that");
    kernel.submit_detached(Op::Cancel { target: token(3) });
    let mut left = vec![next(&mut kernel).result];
    let mut accepted = Vec::new();
    while left.len() + connected < sockets.len() {
        accepted.push(listener.accept().unwrap());
        left.push(next(&mut kernel).result);
    }
    left.sort_unstable();
    assert_eq!(left[0], -libc::ECANCELED);
    assert!(left[1..].iter().all(|result| *result == 0), "{left:?}");
    assert_eq!(kernel.unfinished(), 0);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_wake_ends_the_wait_again_and_again() {
    let remote = Arc::new(Remote::new().unwrap());
    let group = GroupSettings { bytes: 64, count: 4, published: 1 };
    let settings = KernelSettings { submissions: 8, restrict: true, groups: [group; 3] };
    let mut kernel = Epoll::new(&settings, remote.clone()).unwrap();
    for _ in 0..3 {
        remote.kick();
        let began = std::time::Instant::now();
        kernel.wait(Some(Duration::from_secs(10)), Instant::default());
        assert!(began.elapsed() < Duration::from_secs(5), "slept through it");
        assert!(kernel.next().is_none());
        assert_eq!(kernel.watches.wait(Some(Duration::ZERO)).unwrap(), 0, "told twice");
    }
}

#[test]
fn what_was_sent_spares_one_look_at_events_and_no_more() {
    let mut kernel = kernel();
    let (near, _far) = non_blocking_pair();
    let mut clock = Instant::default();
    for n in 0..10 {
        kernel.submit(token(0), Op::Send { fd: near.as_raw_fd(), chunk: b"x"[..].into(), wait: Wait::All });
        assert_eq!(turn(&mut kernel, &mut clock).len(), 1);
        assert_eq!(kernel.enters(), n / 2 + 1);
    }
}
