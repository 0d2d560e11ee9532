use super::*;
use crate::buf::GroupSettings;

fn remote() -> Arc<Remote> {
    Arc::new(Remote::new().unwrap())
}

fn ring(remote: Arc<Remote>) -> Uring {
    ring_that(true, remote)
}

fn ring_that(restrict: bool, remote: Arc<Remote>) -> Uring {
    let group = GroupSettings { bytes: 64, count: 2, published: 1 };
    Uring::new(&KernelSettings { submissions: 8, restrict, groups: [group; 3] }, remote).unwrap()
}

/// One turn; how often the eventfd of `of` was written to since the last look.
fn turn(ring: &mut Uring, of: &Remote) -> u64 {
    ring.wait(Some(Duration::ZERO), Instant::default());
    assert!(ring.next().is_none());
    let mut count = 0u64;
    // SAFETY: the pointer and the length describe `count`; the eventfd is non-blocking.
    unsafe { libc::read(of.eventfd(), (&raw mut count).cast(), 8) };
    count
}

#[test]
fn a_message_that_does_not_arrive_is_followed_by_the_eventfd_and_no_other_is_tried() {
    let mut sender = ring(remote());
    let other = remote();
    // No ring at all is where messages to it would go.
    other.reachable_by(other.eventfd()).unwrap();
    sender.wake(other.clone());
    assert_eq!((turn(&mut sender, &other), sender.messages()), (1, 1));
    sender.wake(other.clone());
    assert_eq!((turn(&mut sender, &other), sender.messages()), (1, 1));
    assert_eq!(Arc::strong_count(&other), 1, "kept longer than its message");
}

#[test]
fn a_message_ends_the_wait_of_a_ring_and_leaves_nothing_behind() {
    let (mut sender, mut receiver) = (ring(remote()), ring(remote()));
    let other = receiver.remote.clone();
    assert_eq!(turn(&mut receiver, &other), 0);
    sender.wake(other.clone());
    let kicks = turn(&mut sender, &other);
    if !sender.can_message {
        // The eventfd has been read above; on with the next wake.
        assert_eq!(kicks, 1);
        other.kick();
    } else {
        assert_eq!(kicks, 0, "woken twice");
    }
    let began = std::time::Instant::now();
    receiver.wait(Some(Duration::from_secs(10)), Instant::default());
    assert!(receiver.next().is_none());
    assert!(began.elapsed() < Duration::from_secs(5), "slept through it");
    assert_eq!((sender.unfinished(), receiver.unfinished()), (0, 0));
}

#[test]
fn detached_operations_are_unfinished_until_they_complete() {
    let mut ring = ring(remote());
    let descriptors: Vec<_> = (0..20).map(|_| socket::unix().unwrap()).collect();
    for fd in descriptors {
        ring.submit_detached(Op::Close { fd });
    }
    assert_eq!(ring.unfinished(), 20);
    while ring.unfinished() > 0 {
        let other = ring.remote.clone();
        turn(&mut ring, &other);
    }
}

#[test]
fn an_operation_with_a_bad_descriptor_completes_with_an_error_and_returns_its_memory() {
    let mut ring = ring(remote());
    let token = Token { index: 3, generation: 7 };
    ring.submit(token, Op::Send { fd: -1, chunk: b"bytes"[..].into(), wait: Wait::All });
    ring.wait(None, Instant::default());
    let done = ring.next().expect("a completion");
    assert_eq!((done.token, done.result, done.more), (token, -libc::EBADF, false));
    assert!(matches!(done.held, Held::Chunk(chunk) if chunk[..] == b"bytes"[..]));
    assert_eq!(ring.unfinished(), 0);
}

/// The result of an entry that the runtime never makes.
fn result_of(ring: &mut Uring, entry: squeue::Entry) -> i32 {
    ring.in_flight += 1;
    ring.push(entry.user_data(DETACHED.into()));
    ring.wait(None, Instant::default());
    let (_, result, _) = ring.batch.iter().find(|(user_data, ..)| *user_data == DETACHED.into()).copied().unwrap();
    assert!(ring.next().is_none());
    result
}

#[test]
fn a_restricted_ring_refuses_what_the_runtime_never_asks_of_it() {
    let nop = || opcode::Nop::new().build();
    let linked = || opcode::AsyncCancel::new(0).build().flags(squeue::Flags::IO_LINK);
    let (mut open, mut restricted) = (ring_that(false, remote()), ring(remote()));
    assert_eq!(open.restriction(), &RingRestriction::Off);
    assert_eq!((result_of(&mut open, nop()), result_of(&mut open, linked())), (0, -libc::ENOENT));
    assert!(open.ring.submitter().register_iowq_max_workers(&mut [0, 0]).is_ok());
    // Every kernel that has what a ring needs can restrict one.
    assert_eq!(restricted.restriction(), &RingRestriction::On);
    let refused = -libc::EACCES;
    assert_eq!((result_of(&mut restricted, nop()), result_of(&mut restricted, linked())), (refused, refused));
    let registered = restricted.ring.submitter().register_iowq_max_workers(&mut [0, 0]);
    assert_eq!(registered.map_err(|error| error.raw_os_error()), Err(Some(libc::EACCES)));
}

#[test]
fn the_list_of_a_restricted_ring_has_what_is_made_for_it_and_no_more() {
    let chunk = || crate::buf::Chunk::from(&b"bytes"[..]);
    let to = "127.0.0.1:1".parse().unwrap();
    let group = Group::Head;
    let ops = [
        Op::Accept { fd: 0 },
        Op::Recv { fd: 0, group },
        Op::RecvMulti { fd: 0, group },
        Op::RecvDatagrams { fd: 0 },
        Op::Send { fd: 0, chunk: chunk(), wait: Wait::All },
        Op::Connect { fd: 0, to },
        Op::ConnectUnix { fd: 0, path: "/run/app.sock".into() },
        Op::Poll { fd: 0, events: 0 },
        Op::Close { fd: 0 },
        Op::Cancel { target: Token { index: 0, generation: 0 } },
        Op::CancelAll,
    ];
    let mut made: Vec<u8> = ops.into_iter().map(|op| prepare(op).0.get_opcode() as u8).collect();
    // A gather is made by the pool alone.
    made.extend([opcode::SendMsg::CODE, opcode::MsgRingData::CODE]);
    made.sort_unstable();
    made.dedup();
    let mut listed = OPCODES.to_vec();
    listed.sort_unstable();
    assert_eq!(made, listed);
}
