//! Datagrams: who sent them and where to, bursts, buffers, errors that end nothing.

use super::support::{KERNELS, on_core, soon, turn, udp};
use ringferry_runtime::net::{Datagram, DatagramReceiver, Segments, Udp};
use ringferry_runtime::{Core, Either, Handle, Settings, bind_udp, is_taken_udp, race};
use std::future::ready;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::time::Duration;

/// A peer that no core knows of; it waits a while for what is sent to it.
fn outsider(ip: &str) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

fn bytes(datagram: &Datagram) -> &[u8] {
    datagram.segments().bytes()
}

/// The next `count` datagrams, all of their bytes in a row.
async fn collect(handle: &Handle, receiver: &mut DatagramReceiver, count: usize) -> Vec<u8> {
    let mut got = Vec::new();
    let mut left = count;
    while left > 0 {
        let datagram = soon(handle, receiver.recv()).await.unwrap();
        got.extend_from_slice(bytes(&datagram));
        left -= datagram.segments().count();
    }
    got
}

#[test]
fn an_answer_comes_from_the_address_that_was_written_to() {
    on_core(|handle| async move {
        let cases = [
            ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
            ("0.0.0.0", "127.0.0.1", "127.0.0.2"),
            ("127.0.0.3", "127.0.0.1", "127.0.0.3"),
            ("::", "127.0.0.1", "127.0.0.2"),
            ("::", "::1", "::1"),
            ("::1", "::1", "::1"),
        ];
        for (listens, client, written_to) in cases {
            let (socket, address) = udp(&handle, listens);
            let client = outsider(client);
            let to = SocketAddr::new(written_to.parse().unwrap(), address.port());
            client.send_to(b"question", to).unwrap();
            let mut receiver = socket.receiver();
            let datagram = soon(&handle, receiver.recv()).await.unwrap();
            assert_eq!((bytes(&datagram), datagram.is_truncated), (&b"question"[..], false));
            assert_eq!(datagram.peer.ip().to_canonical(), client.local_addr().unwrap().ip());
            assert_eq!(datagram.peer.port(), client.local_addr().unwrap().port());
            let local = datagram.local.unwrap();
            assert_eq!((local.ip.to_canonical(), local.interface > 0), (to.ip(), true));
            assert_eq!(socket.send_to(b"answer".as_slice(), datagram.peer, datagram.local).unwrap(), 1);
            let mut answer = [0; 16];
            let (len, from) = client.recv_from(&mut answer).unwrap();
            assert_eq!((&answer[..len], from), (&b"answer"[..], to), "on {listens}");
        }
    });
}

#[test]
fn a_connected_socket_talks_with_one_peer_alone() {
    on_core(|handle| async move {
        for ip in ["127.0.0.1", "::1"] {
            let server = outsider(ip);
            let address = server.local_addr().unwrap();
            let socket = Udp::connect(&handle, address).unwrap();
            let mut receiver = socket.receiver();
            assert_eq!(socket.send(b"question".as_slice()).unwrap(), 1);
            let mut question = [0; 16];
            let (len, from) = server.recv_from(&mut question).unwrap();
            assert_eq!((&question[..len], Some(from)), (&b"question"[..], socket.local()));
            outsider(ip).send_to(b"unasked", from).unwrap();
            server.send_to(b"answer", from).unwrap();
            let datagram = soon(&handle, receiver.recv()).await.unwrap();
            assert_eq!((bytes(&datagram), datagram.peer, datagram.local), (&b"answer"[..], address, None));
        }
    });
}

#[test]
fn an_empty_datagram_is_no_end() {
    on_core(|handle| async move {
        let (socket, address) = udp(&handle, "127.0.0.1");
        let client = Udp::connect(&handle, address).unwrap();
        let mut receiver = socket.receiver();
        for sent in [b"".as_slice(), b"one", b"", b"two"] {
            assert_eq!(client.send(sent).unwrap(), 1);
            assert_eq!(bytes(&soon(&handle, receiver.recv()).await.unwrap()), sent);
        }
    });
}

#[test]
fn a_burst_larger_than_the_ring_is_brought_whole_whoever_holds_what() {
    on_core(|handle| async move {
        let (socket, address) = udp(&handle, "127.0.0.1");
        let client = Udp::connect(&handle, address).unwrap();
        let mut receiver = socket.receiver();
        for n in 0..24u8 {
            client.send([n].as_slice()).unwrap();
        }
        let mut held = Vec::new();
        while held.len() < 24 {
            held.push(soon(&handle, receiver.recv()).await.unwrap());
            assert!(handle.stats().datagram_buffers_lent <= 2, "more than half of the ring");
        }
        assert_eq!(held.iter().map(|datagram| bytes(datagram)[0]).collect::<Vec<_>>(), (0..24).collect::<Vec<_>>());
    });
}

#[test]
fn a_starved_receive_that_is_dropped_leaves_its_place_to_the_next() {
    on_core(|handle| async move {
        let (socket, address) = udp(&handle, "127.0.0.1");
        let (other, other_address) = udp(&handle, "127.0.0.1");
        let (mut receiver, mut waiting) = (socket.receiver(), other.receiver());
        let client = Udp::connect(&handle, address).unwrap();
        for _ in 0..12 {
            client.send(b"burst".as_slice()).unwrap();
        }
        Udp::connect(&handle, other_address).unwrap().send(b"waits".as_slice()).unwrap();
        receiver.arm();
        waiting.arm();
        turn(&handle).await;
        // What the first has brought used all buffers up, and then there was none.
        let mut brought = 0;
        while let Either::Left(datagram) = race(receiver.recv(), ready(())).await {
            datagram.unwrap();
            brought += 1;
        }
        assert_eq!(brought, 4);
        assert!(matches!(race(waiting.recv(), ready(())).await, Either::Right(())));
        drop(receiver);
        assert_eq!(bytes(&soon(&handle, waiting.recv()).await.unwrap()), b"waits");
    });
}

#[test]
fn a_flood_that_nobody_reads_is_held_back_and_leaves_buffers_for_others() {
    on_core(|handle| async move {
        let (socket, address) = udp(&handle, "127.0.0.1");
        let client = Udp::connect(&handle, address).unwrap();
        let mut unread = socket.receiver();
        unread.arm();
        for n in 0..200u8 {
            client.send([n].as_slice()).unwrap();
            turn(&handle).await;
        }
        assert!(handle.stats().completions < 150, "receives without end");
        assert!(handle.stats().datagram_buffers_lent <= 2, "unread datagrams hold the ring's buffers");
        let (other, address) = udp(&handle, "127.0.0.1");
        Udp::connect(&handle, address).unwrap().send(b"ping".as_slice()).unwrap();
        assert_eq!(bytes(&soon(&handle, other.receiver().recv()).await.unwrap()), b"ping");
        let got = collect(&handle, &mut unread, 200).await;
        assert_eq!(got, (0..200).collect::<Vec<u8>>(), "one is missing, or out of order");
    });
}

#[test]
fn a_datagram_that_is_too_large_says_so() {
    on_core(|handle| async move {
        let (socket, address) = udp(&handle, "127.0.0.1");
        let client = Udp::connect(&handle, address).unwrap();
        let mut receiver = socket.receiver();
        for (len, is_truncated) in [(1900, false), (2048, true), (60_000, true), (3, false)] {
            client.send(vec![7; len].as_slice()).unwrap();
            let datagram = soon(&handle, receiver.recv()).await.unwrap();
            assert_eq!(datagram.is_truncated, is_truncated, "{len} bytes");
            assert!(bytes(&datagram).len() <= len && bytes(&datagram).iter().all(|byte| *byte == 7));
        }
    });
}

#[test]
fn the_largest_datagram_passes_whole_as_the_defaults_are() {
    for kernel in KERNELS {
        let core = Core::new(&Settings { kernel, ..Settings::default() }).unwrap();
        let handle = core.handle();
        core.run(async move {
            for (ip, largest) in [("127.0.0.1", 65_507), ("::1", 65_527)] {
                let (socket, address) = udp(&handle, ip);
                let client = Udp::connect(&handle, address).unwrap();
                client.send(vec![7; largest].as_slice()).unwrap();
                let datagram = soon(&handle, socket.receiver().recv()).await.unwrap();
                assert_eq!((bytes(&datagram).len(), datagram.is_truncated), (largest, false));
                let error = client.send(vec![7; largest + 1].as_slice()).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(90), "EMSGSIZE");
            }
        })
        .unwrap_or_else(|| panic!("on {kernel:?}"));
    }
}

#[test]
fn finding_nobody_is_told_once_and_ends_nothing() {
    on_core(|handle| async move {
        let server = outsider("127.0.0.1");
        let address = server.local_addr().unwrap();
        drop(server);
        let socket = Udp::connect(&handle, address).unwrap();
        let mut receiver = socket.receiver();
        for _ in 0..3 {
            socket.send(b"anybody?".as_slice()).unwrap();
            let error = soon(&handle, receiver.recv()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
        // A send may be the first to hear of it; then it has not sent.
        socket.send(b"anybody?".as_slice()).unwrap();
        assert_eq!(socket.send(b"not sent".as_slice()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        // What was told once leaves the receive as it was.
        let server = UdpSocket::bind(address).unwrap();
        assert_eq!(socket.send(b"question".as_slice()).unwrap(), 1);
        server.send_to(b"answer", socket.local().unwrap()).unwrap();
        assert_eq!(bytes(&soon(&handle, receiver.recv()).await.unwrap()), b"answer");
    });
}

#[test]
fn datagrams_of_one_size_travel_together_and_arrive_one_by_one() {
    on_core(|handle| async move {
        let sent: Vec<u8> = (0..125).collect();
        let segments = Segments::new(&sent, NonZeroU16::new(10));
        // To one who takes them one by one.
        let server = outsider("127.0.0.1");
        let socket = Udp::connect(&handle, server.local_addr().unwrap()).unwrap();
        assert_eq!(socket.send(segments).unwrap(), 13);
        for expect in sent.chunks(10) {
            let mut got = [0; 16];
            let len = server.recv(&mut got).unwrap();
            assert_eq!(&got[..len], expect);
        }
        // To one of ours, who sends them back as they come.
        let (middle, address) = udp(&handle, "0.0.0.0");
        let socket = Udp::connect(&handle, (std::net::Ipv4Addr::LOCALHOST, address.port()).into()).unwrap();
        let (mut there, mut back) = (middle.receiver(), socket.receiver());
        assert_eq!(socket.send(segments).unwrap(), 13);
        let mut count = 0;
        while count < 13 {
            let datagram = soon(&handle, there.recv()).await.unwrap();
            count += middle.send_to(datagram.segments(), datagram.peer, datagram.local).unwrap();
        }
        assert_eq!(collect(&handle, &mut back, 13).await, sent);
    });
}

#[test]
fn a_burst_that_the_way_does_not_take_as_one_goes_one_by_one() {
    on_core(|handle| async move {
        let server = outsider("127.0.0.1");
        let socket = Udp::connect(&handle, server.local_addr().unwrap()).unwrap();
        // More than the kernel takes apart: each is sent by itself.
        let sent: Vec<u8> = (0..200).collect();
        assert_eq!(socket.send(Segments::new(&sent, NonZeroU16::new(1))).unwrap(), 200);
        for expect in sent {
            let mut got = [0; 2];
            assert_eq!((server.recv(&mut got).unwrap(), got[0]), (1, expect));
        }
    });
}

#[test]
fn a_client_stays_with_one_of_the_sockets_of_an_address() {
    on_core(|handle| async move {
        let (address, sockets) = bind_udp("127.0.0.1:0".parse().unwrap(), false, 4).unwrap();
        let sockets: Vec<_> = sockets.iter().map(|socket| Udp::new(&handle, socket).unwrap()).collect();
        let mut receivers: Vec<_> = sockets.iter().map(Udp::receiver).collect();
        let clients: Vec<_> = (0..64).map(|_| Udp::connect(&handle, address).unwrap()).collect();
        for _ in 0..3 {
            for client in &clients {
                client.send(b"again".as_slice()).unwrap();
            }
        }
        let mut homes = std::collections::HashMap::new();
        let mut got = 0;
        while got < 3 * clients.len() {
            for (home, receiver) in receivers.iter_mut().enumerate() {
                if let Either::Left(datagram) = race(receiver.recv(), turn(&handle)).await {
                    let datagram = datagram.unwrap();
                    got += datagram.segments().count();
                    assert_eq!(*homes.entry(datagram.peer).or_insert(home), home);
                }
            }
        }
        assert!(homes.values().collect::<std::collections::HashSet<_>>().len() > 1, "all clients on one socket");
    });
}

#[test]
fn a_stopped_socket_takes_nothing_and_leaves_the_port_to_others() {
    on_core(|handle| async move {
        for ip in ["127.0.0.1", "0.0.0.0", "::1", "::"] {
            let (socket, address) = udp(&handle, ip);
            assert_eq!(is_taken_udp(address, ip == "::").unwrap_err().error.kind(), ErrorKind::AddrInUse);
            socket.stop().unwrap();
            let loopback = if ip.contains(':') { "[::1]" } else { "127.0.0.1" };
            let to: SocketAddr = format!("{loopback}:{}", address.port()).parse().unwrap();
            let client = Udp::connect(&handle, to).unwrap();
            let mut receiver = client.receiver();
            client.send(b"anybody?".as_slice()).unwrap();
            let told = soon(&handle, receiver.recv()).await.unwrap_err();
            assert_eq!(told.kind(), ErrorKind::ConnectionRefused, "on {ip}");
            // Although its owners have it still.
            let (_, others) = bind_udp(address, ip == "::", 1).unwrap();
            let other = Udp::new(&handle, &others[0]).unwrap();
            client.send(b"question".as_slice()).unwrap();
            assert_eq!(bytes(&soon(&handle, other.receiver().recv()).await.unwrap()), b"question", "on {ip}");
            drop((socket, other, others));
        }
        // A free port is not taken.
        let (address, sockets) = bind_udp("127.0.0.1:0".parse().unwrap(), false, 1).unwrap();
        drop(sockets);
        is_taken_udp(address, false).unwrap();
    });
}
