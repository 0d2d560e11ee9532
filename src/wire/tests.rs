//! Both ends of connections on one core, with nothing above them.

use super::{Intake, Outlet, shake};
use crate::model::{HostPattern, SiteId};
use crate::tls::{
    CertStore, ClientAuth, Engine, Keyring, Pair, Seed, SitePairs, Trusted, cipher_order, client_config, server_config,
};
use ringferry_runtime::net::{Mode, Stream};
use ringferry_runtime::time::Sleep;
use ringferry_runtime::{Core, Either, Handle, Settings, join, race};
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

type End = (Outlet, Intake);

/// The longest that anything here waits.
const WAIT: Duration = Duration::from_secs(10);

fn run<F: Future<Output = ()> + 'static>(body: impl FnOnce(Handle) -> F + 'static) {
    let core = Core::new(&Settings::default()).expect("io_uring");
    let body = body(core.handle());
    // A panic ends a task alone.
    assert!(core.run(body).is_some());
}

/// The two ends of a connection.
fn plain(handle: &Handle) -> [End; 2] {
    let (one, other) = UnixStream::pair().unwrap();
    [one, other].map(|socket| {
        socket.set_nonblocking(true).unwrap();
        let stream = Stream::from_owned(handle, OwnedFd::from(socket).into());
        let intake = Intake::plain(stream.receiver(Mode::Stream));
        (Outlet::plain(stream), intake)
    })
}

/// A client's end and a server's, after the handshake of TLS 1.3.
async fn secure(handle: &Handle) -> [End; 2] {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let pair = Pair::read("x.pem", certificate.pem().as_bytes(), key.serialize_pem().as_bytes(), None).unwrap();
    let pairs = SitePairs { site: SiteId(0), hosts: &[HostPattern::Any], pairs: vec![Arc::new(pair)] };
    let certs = Arc::new(CertStore::build([pairs], 1_780_000_000).0);
    let policy = Keyring::default().policy(ClientAuth::open(), 0, &Seed::random().unwrap());
    let order = cipher_order(true);
    let server = Engine::server(server_config(&order, certs, &policy, &[], false).unwrap()).unwrap();
    let client = client_config(&order, Trusted::Anyone, &[]).unwrap();
    let client = Engine::client(client, "a.test".try_into().unwrap()).unwrap();
    let [mut near, mut far] = plain(handle);
    let shaken =
        join(shake(&mut near.0, &mut near.1, client, &[], None), shake(&mut far.0, &mut far.1, server, &[], None));
    assert!(matches!(shaken.await, (Ok(_), Ok(_))));
    [near, far]
}

/// Waits until something has come.
async fn ready(intake: &Intake, handle: &Handle) {
    let came = poll_fn(|cx| {
        if intake.is_ready() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    });
    assert!(matches!(race(came, Sleep::new(handle, WAIT)).await, Either::Left(())), "nothing comes");
}

/// Has the far end do something to a connection that is kept: it must not be used again. What `act` returns stays.
async fn check_spent<T>(handle: &Handle, is_secure: bool, act: impl AsyncFnOnce(End) -> T) {
    let [(_outlet, mut intake), far] = if is_secure { secure(handle).await } else { plain(handle) };
    if is_secure {
        // Sessions to resume, which concern nobody here.
        ready(&intake, handle).await;
    } else {
        assert!(
            intake.poll_recv(&mut Context::from_waker(Waker::noop())).is_pending(),
            "armed, as it is where it is kept"
        );
    }
    assert!(!intake.is_spent());
    let _stays = act(far).await;
    ready(&intake, handle).await;
    assert!(intake.is_spent());
}

#[test]
fn a_kept_connection_is_spent_once_its_peer_says_or_ends_anything() {
    run(async |handle| {
        for is_secure in [false, true] {
            check_spent(&handle, is_secure, async |far| {
                assert!(far.0.send_whole(vec![7]).await.0.is_ok());
                far
            })
            .await;
            check_spent(&handle, is_secure, async |far| {
                far.0.shutdown().await.unwrap();
                far
            })
            .await;
            check_spent(&handle, is_secure, async |far| drop(far)).await;
        }
        // The end is told, and the socket stays open.
        check_spent(&handle, true, async |far| {
            far.0.farewell();
            far
        })
        .await;
    });
}

/// How many bytes of the application are in each of the records that come, until there are `len`.
async fn record_sizes(intake: &mut Intake, len: usize) -> Vec<usize> {
    let (mut wire, mut sizes) = (Vec::new(), Vec::new());
    while sizes.iter().sum::<usize>() < len {
        wire.extend_from_slice(&intake.receiver().recv().await.unwrap().expect("not the end"));
        while let [_, _, _, high, low, ..] = *wire {
            let whole = 5 + usize::from(u16::from_be_bytes([high, low]));
            if wire.len() < whole {
                break;
            }
            // The type of what is in it, and the tag.
            sizes.push(whole - 5 - 1 - 16);
            wire.drain(..whole);
        }
    }
    sizes
}

#[test]
fn what_begins_begins_with_small_records() {
    run(async |handle| {
        let [(outlet, _intake), (_, mut far)] = secure(&handle).await;
        let len = 50_000;
        for expect in [vec![4096, 4096, 4096, 4096, 16_384, 16_384, 848], vec![16_384, 16_384, 16_384, 848]] {
            let (sent, sizes) = join(outlet.send_whole(vec![7; len]), record_sizes(&mut far, len)).await;
            assert!(sent.0.is_ok());
            assert_eq!(sizes, expect);
        }
        // In several pieces it is the same bytes.
        let [(outlet, _intake), (_, mut far)] = secure(&handle).await;
        let pieces = [Some(vec![7; 6000].into()), Some(vec![7; 20_000].into()), None];
        let (sent, sizes) = join(outlet.send_all(pieces), record_sizes(&mut far, 26_000)).await;
        assert!(sent.0.is_ok());
        assert_eq!(sizes, [4096, 1904, 4096, 4096, 2192, 9616]);
    });
}
