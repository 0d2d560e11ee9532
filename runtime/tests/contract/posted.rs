//! Sends that nobody need wait for.

use super::support::{on_core, on_core_to_the_turn, pair, soon, turns, until};
use ringferry_runtime::net::{Counted, Mode, Owner, Posted, Stream};
use ringferry_runtime::{Group, Handle, join};
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// A part of something, and who has the rest.
fn counted() -> (Rc<Left>, Option<Counted>) {
    let owner = Rc::new(Left(Cell::new(0)));
    (owner.clone(), Some(Counted::new(owner, AMOUNT)))
}

const AMOUNT: u64 = 7;

/// How much has come back.
struct Left(Cell<u64>);

impl Owner for Left {
    fn take_back(&self, amount: u64) {
        self.0.set(self.0.get() + amount);
    }
}

/// A task that waits for `posted` to fail, how often it was polled, and whether it has.
fn watch(handle: &Handle, mut posted: Posted) -> Rc<(Cell<u32>, Cell<bool>)> {
    let seen = Rc::new((Cell::new(0), Cell::new(false)));
    let noted = seen.clone();
    handle.spawn(async move {
        poll_fn(|cx| {
            noted.0.set(noted.0.get() + 1);
            posted.poll_failed(cx).map(drop)
        })
        .await;
        noted.1.set(true);
    });
    seen
}

#[test]
fn what_was_posted_wakes_nobody_and_its_memory_serves_again() {
    on_core_to_the_turn(|handle| async move {
        let (client, server) = pair(&handle).await;
        let mut bytes = handle.take_bytes();
        bytes.extend_from_slice(b"answer");
        let (memory, (count, held)) = (bytes.as_ptr(), counted());
        let seen = watch(&handle, server.post(bytes, held));
        assert!(server.is_posting());
        let received = soon(&handle, client.receiver(Mode::Once(Group::Head)).recv()).await.unwrap().unwrap();
        assert_eq!(&received[..], b"answer");
        until(&handle, || !server.is_posting()).await;
        turns(&handle, 2).await;
        assert_eq!((seen.0.get(), seen.1.get(), count.0.get()), (1, false, AMOUNT));
        let again = handle.take_bytes();
        assert_eq!(again.as_ptr(), memory);
    });
}

#[test]
fn what_is_posted_one_after_another_arrives_in_order() {
    on_core(|handle| async move {
        let (client, server) = pair(&handle).await;
        let send = async {
            for n in 0..40 {
                let posted = server.post(vec![n; 50], None);
                // Its end is waited for from the beginning, later, or when it has long gone.
                turns(&handle, u64::from(n % 4)).await;
                soon(&handle, posted).await.unwrap();
            }
        };
        let receive = async {
            let (mut receiver, mut got) = (client.receiver(Mode::Stream), Vec::new());
            while got.len() < 40 * 50 {
                got.extend_from_slice(&receiver.recv().await.unwrap().unwrap());
            }
            got
        };
        let ((), got) = soon(&handle, std::pin::pin!(join(send, receive))).await;
        assert!(got.chunks(50).zip(0..).all(|(part, n)| part == [n; 50]));
    });
}

/// Fills the way to a peer that reads nothing, up to the last byte.
async fn fill(stream: &Stream) {
    while stream.send(vec![1; 1 << 20], false).await.0.is_ok() {}
    while stream.send(vec![1], false).await.0.is_ok() {}
}

#[test]
fn a_failure_is_told_and_what_was_counted_is_not_kept() {
    on_core(|handle| async move {
        let (client, server) = pair(&handle).await;
        fill(&server).await;
        let (count, held) = counted();
        let seen = watch(&handle, server.post(vec![2; 100], held));
        turns(&handle, 3).await;
        assert_eq!((seen.1.get(), count.0.get()), (false, 0));
        client.reset_on_close(true);
        drop(client);
        until(&handle, || seen.1.get()).await;
        assert_eq!((server.is_posting(), count.0.get()), (false, AMOUNT));
    });
}

#[test]
fn one_that_has_gone_may_be_dropped_when_the_next_is_on_its_way() {
    on_core(|handle| async move {
        let (client, server) = pair(&handle).await;
        let first = server.post(b"first".as_slice(), None);
        until(&handle, || !server.is_posting()).await;
        let second = server.post(b"second".as_slice(), None);
        assert!(!first.is_going() && second.is_going());
        drop(first);
        assert!(second.is_going());
        let (mut receiver, mut got) = (client.receiver(Mode::Stream), Vec::new());
        while got.len() < b"firstsecond".len() {
            got.extend_from_slice(&soon(&handle, receiver.recv()).await.unwrap().unwrap());
        }
        assert_eq!(got, b"firstsecond");
    });
}

#[test]
fn what_goes_on_in_pieces_is_no_failure() {
    on_core(|handle| async move {
        let (client, server) = pair(&handle).await;
        fill(&server).await;
        let mut posted = server.post(vec![2; 300], None);
        let failed = poll_fn(|cx| Poll::Ready(posted.poll_failed(cx).is_ready())).await;
        assert!(!failed && posted.is_going());
        let mut receiver = client.receiver(Mode::Once(Group::Body));
        let mut left = 300;
        let drain = async {
            while left > 0 {
                let received = receiver.recv().await.unwrap().unwrap();
                left -= received.iter().filter(|&&byte| byte == 2).count();
            }
        };
        let (sent, ()) = soon(&handle, std::pin::pin!(join(posted, drain))).await;
        sent.unwrap();
    });
}

#[test]
fn what_was_posted_and_dropped_is_cut_short() {
    on_core(|handle| async move {
        for given in 0..3 {
            let (client, server) = pair(&handle).await;
            fill(&server).await;
            let (count, held) = counted();
            let posted = server.post(vec![2; 100], held);
            turns(&handle, given).await;
            drop(posted);
            assert_eq!((server.is_posting(), count.0.get()), (false, AMOUNT));
            drop(server);
            until(&handle, || handle.stats().operations == 0).await;
            drop(client);
        }
    });
}
