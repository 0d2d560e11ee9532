//! Connecting, sending, receiving, ending.

use super::support::{
    listener, listener_unix, on_core, on_core_in_any_order, on_core_to_the_turn, on_system, pair, soon, turns,
};
use ringferry_runtime::net::{Listener, Mode, Stream};
use ringferry_runtime::time::Alarm;
use ringferry_runtime::{Chunk, Group, adopt, bind_tcp, is_taken, join};
use std::future::poll_fn;
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

#[test]
fn bytes_arrive_in_both_receive_modes() {
    on_core_in_any_order(|handle| async move {
        for mode in [Mode::Stream, Mode::Once(Group::Head), Mode::Once(Group::Body)] {
            let (client, server) = pair(&handle).await;
            let mut receiver = server.receiver(mode);
            for _ in 0..20 {
                client.send(b"ping".as_slice(), true).await.0.unwrap();
                assert_eq!(&receiver.recv().await.unwrap().unwrap()[..], b"ping");
            }
            client.shutdown(Shutdown::Write).unwrap();
            assert!(receiver.recv().await.unwrap().is_none());
        }
    });
}

#[test]
fn a_large_send_is_whole_and_in_order() {
    on_core(|handle| async move {
        let (client, server) = pair(&handle).await;
        let sent: Vec<u8> = (0..4 << 20).map(|n: u32| (n / 7) as u8).collect();
        let expect = sent.clone();
        let send = async {
            let head = Chunk::from(b"head".as_slice());
            let (result, _) = client.send_all([Some(head), Some(sent.into()), Some(b"tail".as_slice().into())]).await;
            result.unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        };
        let receive = async {
            let mut receiver = server.receiver(Mode::Once(Group::Body));
            let mut got = Vec::new();
            while let Some(lent) = receiver.recv().await.unwrap() {
                got.extend_from_slice(&lent);
            }
            got
        };
        let ((), got) = join(send, receive).await;
        assert_eq!(got.len(), expect.len() + 8);
        assert!(got.starts_with(b"head") && got.ends_with(b"tail") && got[4..got.len() - 4] == expect[..]);
    });
}

#[test]
fn received_bytes_are_sent_on_from_where_they_lie() {
    on_core(|handle| async move {
        let (client, middle_in) = pair(&handle).await;
        let (middle_out, server) = pair(&handle).await;
        let relay = async {
            let mut receiver = middle_in.receiver(Mode::Once(Group::Body));
            while let Some(lent) = receiver.recv().await.unwrap() {
                middle_out.send_all([Some(lent.into()), None, None]).await.0.unwrap();
            }
            middle_out.shutdown(Shutdown::Write).unwrap();
        };
        let ends = async {
            let bytes = vec![7u8; 3 << 20];
            let send = async {
                client.send_all([Some(bytes.into()), None, None]).await.0.unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            };
            let receive = async {
                let mut receiver = server.receiver(Mode::Stream);
                let mut count = 0;
                while let Some(lent) = receiver.recv().await.unwrap() {
                    assert!(lent.iter().all(|byte| *byte == 7));
                    count += lent.len();
                }
                count
            };
            assert_eq!(join(send, receive).await.1, 3 << 20);
        };
        join(relay, ends).await;
    });
}

#[test]
fn a_refused_connect_is_an_error() {
    on_core(|handle| async move {
        let (closed, address) = listener(&handle);
        drop(closed);
        // The duplicate is closed through the ring; by the next turn but one the port is shut.
        let mut refused = false;
        for _ in 0..100 {
            refused = Stream::connect(&handle, address).await.is_err();
            if refused {
                break;
            }
        }
        assert!(refused);
    });
}

#[test]
fn a_closed_listener_gives_its_port_up_and_loses_nobody() {
    on_system(|handle| async move {
        let (address, sockets) = bind_tcp("127.0.0.1:0".parse().unwrap(), false, 1).unwrap();
        let mut closing = Listener::new(&handle, &sockets[0]).unwrap();
        let _first = Stream::connect(&handle, address).await.unwrap();
        closing.accept().await.unwrap();
        // Some of these are brought by the accept in flight, the others wait in the queue.
        let clients: Vec<_> = (0..8).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert!(is_taken(address, false).is_err());
        assert_eq!(closing.close().await.len(), clients.len());
        // Although the owner of the socket still has it.
        assert!(TcpStream::connect(address).is_err());
        is_taken(address, false).unwrap();
        bind_tcp(address, false, 1).unwrap();
        drop(sockets);
    });
}

#[test]
fn a_listener_that_leaves_loses_no_connection_and_others_go_on() {
    on_system(|handle| async move {
        let (address, sockets) = bind_tcp((Ipv4Addr::LOCALHOST, 0).into(), false, 1).unwrap();
        let mut leaving = Listener::new(&handle, &sockets[0]).unwrap();
        let first = TcpStream::connect(address).unwrap();
        leaving.accept().await.unwrap();
        // Some of these are brought by the accept in flight, the others wait in the queue.
        let clients: Vec<_> = (0..8).map(|_| TcpStream::connect(address).unwrap()).collect();
        let came = leaving.leave().await.len();
        assert_eq!(came, clients.len(), "nobody else is told of them");
        let other = adopt(sockets[0].to_pass().unwrap()).unwrap();
        assert_eq!((other.address, other.is_udp, other.dual_stack), (address, false, false));
        let mut staying = Listener::new(&handle, &other.socket).unwrap();
        let _late = TcpStream::connect(address).unwrap();
        staying.accept().await.unwrap();
        drop((first, clients));
    });
}

#[test]
fn a_reset_is_noticed_by_who_does_not_receive_and_an_end_is_none() {
    on_core_in_any_order(|handle| async move {
        for mode in [Mode::Stream, Mode::Once(Group::Head)] {
            let (client, server) = pair(&handle).await;
            let mut receiver = server.receiver(mode);
            let broken = poll_fn(|cx| receiver.poll_broken(cx));
            let reset = async {
                client.reset_on_close(true);
                drop(client);
            };
            join(broken, reset).await;
            assert!(receiver.recv().await.is_err());

            let (client, server) = pair(&handle).await;
            let mut receiver = server.receiver(mode);
            client.send(b"last".as_slice(), true).await.0.unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut alarm = Alarm::new(&handle);
            alarm.set(Duration::from_millis(20));
            assert!(alarm.guard(poll_fn(|cx| receiver.poll_broken(cx))).await.is_err());
            assert_eq!(&receiver.recv().await.unwrap().unwrap()[..], b"last");
            assert!(receiver.recv().await.unwrap().is_none());
        }
    });
}

/// A kernel may end a stream with what it brings, and the reader does not ask for more until there is a reason to.
#[test]
fn a_stream_that_was_read_to_the_last_byte_is_armed_for_what_comes_next() {
    on_core(|handle| async move {
        for _ in 0..20 {
            let (client, server) = pair(&handle).await;
            let mut receiver = server.receiver(Mode::Stream);
            client.send_whole(b"request".as_slice()).await.0.unwrap();
            let mut got = 0;
            while got < b"request".len() {
                got += receiver.recv().await.unwrap().unwrap().len();
            }
            receiver.arm();
            assert!(!receiver.is_ready(), "nothing has come");
            client.reset_on_close(true);
            drop(client);
            soon(&handle, poll_fn(|cx| receiver.poll_broken(cx))).await;
        }
    });
}

#[test]
fn what_has_happened_before_is_known_when_bytes_are_told() {
    on_core_to_the_turn(|handle| async move {
        for mode in [Mode::Stream, Mode::Once(Group::Head)] {
            let (client, server) = pair(&handle).await;
            let mut receiver = server.receiver(Mode::Once(Group::Head));
            for n in 0..6 {
                // A kept connection ends, and then somebody asks for something on another one.
                let (other, kept) = pair(&handle).await;
                let mut probe = kept.receiver(mode);
                probe.arm();
                turns(&handle, 2 + n % 2).await;
                assert!(!probe.is_ready());
                other.shutdown(Shutdown::Write).unwrap();
                let (sent, received) = join(client.send(b"ask".as_slice(), true), receiver.recv()).await;
                assert_eq!((sent.0.unwrap(), &received.unwrap().unwrap()[..]), (3, &b"ask"[..]));
                assert!(probe.is_ready(), "the end is still unknown, {mode:?}, {n}");
            }
        }
    });
}

#[test]
fn a_unix_socket_connects_and_a_missing_one_does_not() {
    on_core(|handle| async move {
        let dir = std::env::temp_dir().join(format!("ringferry-contract-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("socket");
        let mut listener = listener_unix(&handle, &path);
        let stream = Stream::connect_unix(&handle, &path).await.unwrap();
        stream.send_whole(b"hello".as_slice()).await.0.unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let server = Stream::from_owned(&handle, listener.accept().await.unwrap());
        let (mut receiver, mut got) = (server.receiver(Mode::Stream), Vec::new());
        while let Some(lent) = receiver.recv().await.unwrap() {
            got.extend_from_slice(&lent);
        }
        assert_eq!((&got[..], server.peer()), (&b"hello"[..], None));
        let error = Stream::connect_unix(&handle, &dir.join("nobody")).await.err().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        std::fs::remove_dir_all(&dir).unwrap();
    });
}

#[test]
fn a_send_that_may_not_wait_comes_back_with_what_fitted() {
    on_core(|handle| async move {
        let (client, _server) = pair(&handle).await;
        let mut total = 0;
        let stuck = loop {
            match client.send(vec![1; 1 << 20], false).await.0 {
                Ok(sent) => total += sent,
                Err(error) => break error,
            }
        };
        assert_eq!(stuck.kind(), std::io::ErrorKind::WouldBlock);
        assert!(total > 0);
    });
}
