use super::stream::READABLE;
use super::*;

/// A world without faults but those given, and who uses it.
fn world(faults: Faults) -> (World, CoreNumber) {
    let world = World::new(1, faults);
    let core = world.settle_in(Role::Tested);
    (world, core)
}

/// Two connected descriptors: who connected, who accepted.
fn pair(world: &World, core: CoreNumber) -> (i32, i32) {
    let (address, sockets) = world.listen("10.0.0.1:80".parse().unwrap(), 1);
    let client = world.socket(core).unwrap();
    world.connect(client, address, core);
    pass(world);
    assert_eq!(world.connected(client), Some(Ok(())));
    let server = world.accept(sockets[0].raw(), None).unwrap().unwrap();
    (client, server)
}

/// Lets happen all that does.
fn pass(world: &World) {
    while let Some(next) = world.next_event() {
        world.advance(next);
    }
}

/// All bytes that are there, and what comes after them.
fn read(world: &World, core: CoreNumber, from: i32) -> (Vec<u8>, &'static str) {
    let mut all = Vec::new();
    loop {
        match world.readable(from) {
            Readable::Nothing => return (all, "nothing"),
            Readable::End => return (all, "end"),
            Readable::Error(errno) => return (all, if errno == libc::ECONNRESET { "reset" } else { "error" }),
            Readable::Bytes => {
                let mut buffer = [0; 1000];
                let count = world.receive(from, &mut buffer, core);
                assert!(count > 0);
                all.extend_from_slice(&buffer[..count]);
                pass(world);
            }
        }
    }
}

fn slow() -> Faults {
    Faults::none().with(Fault::Latency, 1000)
}

#[test]
fn an_end_comes_after_all_bytes_and_leaves_the_other_direction_open() {
    for faults in [Faults::none(), slow(), slow().with(Fault::SmallPieces, 1000).with(Fault::SmallWindows, 1000)] {
        let (world, core) = world(faults);
        let (client, server) = pair(&world, core);
        let sent = world.send(client, &[7; 3000], false, core).unwrap();
        world.shut_down(client, std::net::Shutdown::Write).unwrap();
        assert_eq!(world.send(client, b"more", false, core), Err(libc::EPIPE));
        pass(&world);
        assert_eq!(read(&world, core, server), (vec![7; sent], "end"));
        assert!(world.send(server, b"x", false, core).unwrap() == 1);
        pass(&world);
        assert_eq!(read(&world, core, client), (b"x".to_vec(), "nothing"));
    }
}

#[test]
fn bytes_take_as_long_as_the_way_is_and_keep_their_order() {
    let (world, core) = world(slow());
    let (client, server) = pair(&world, core);
    let sent: Vec<u8> = (0..200).collect();
    sent.chunks(3).for_each(|bytes| assert_eq!(world.send(client, bytes, false, core), Ok(bytes.len())));
    assert!(matches!(world.readable(server), Readable::Nothing), "there at once");
    let began = world.now();
    pass(&world);
    assert!(world.now() > began);
    assert_eq!(read(&world, core, server), (sent, "nothing"));
}

#[test]
fn a_full_window_blocks_until_somebody_reads() {
    let (world, core) = world(Faults::none());
    let (client, server) = pair(&world, core);
    let mut total = 0;
    loop {
        match world.send(client, &[1; 10_000], false, core).unwrap() {
            0 => break,
            count => total += count,
        }
    }
    assert!(total < 1 << 20, "no window at all");
    assert_eq!(world.poll(client, 0x4), 0, "writable");
    assert!(world.acknowledged(client).unwrap() < total as u64);
    assert_eq!(read(&world, core, server).0.len(), total);
    assert_eq!(world.acknowledged(client), Some(total as u64));
    assert_eq!(world.send(client, b"again", false, core), Ok(5));
}

#[test]
fn a_reset_throws_away_what_has_not_arrived_and_is_told_once() {
    let (world, core) = world(Faults::none());
    let (client, server) = pair(&world, core);
    // More than arrives before somebody reads.
    while world.send(client, &[1; 10_000], false, core).unwrap() > 0 {}
    let sent = world.acknowledged(client).unwrap() as usize;
    world.resets_on_close(client, true);
    world.close(client);
    let (got, then) = read(&world, core, server);
    assert_eq!((got.len(), then), (sent, "reset"));
    assert_eq!(read(&world, core, server), (vec![], "end"));
    assert_eq!(world.send(server, b"x", false, core), Err(libc::EPIPE));
}

#[test]
fn a_close_with_bytes_unread_is_a_reset_and_so_is_sending_to_who_has_gone() {
    let (world, core) = world(Faults::none());
    let (client, server) = pair(&world, core);
    world.send(client, b"unread", false, core).unwrap();
    world.close(server);
    assert_eq!(read(&world, core, client).1, "reset");

    let (client, server) = pair(&world, core);
    world.send(server, b"answer", false, core).unwrap();
    world.close(server);
    // It is an end first; the bytes that find nobody tell more.
    assert_eq!(read(&world, core, client), (b"answer".to_vec(), "end"));
    assert_eq!(world.send(client, b"late", false, core), Ok(4));
    assert_eq!(read(&world, core, client).1, "reset");
}

#[test]
fn the_network_cuts_connections_where_it_is_told_to() {
    for (fault, then) in [(Fault::EndedByNetwork, "end"), (Fault::ResetByNetwork, "reset")] {
        let (world, core) = world(Faults::none().with(fault, 1000));
        let (client, server) = pair(&world, core);
        let mut got = Vec::new();
        let ended = loop {
            if world.send(client, &[5; 5000], false, core).is_err() {
                break read(&world, core, server).1;
            }
            let (bytes, then) = read(&world, core, server);
            got.extend_from_slice(&bytes);
            if then != "nothing" {
                break then;
            }
        };
        assert!(got.len() < 300_000 && got.iter().all(|byte| *byte == 5));
        assert_eq!(ended, then);
    }
}

#[test]
fn who_connects_to_nobody_is_refused_and_ports_are_given_up_with_their_listener() {
    let (world, core) = world(Faults::none());
    let connect = |to| {
        let socket = world.socket(core).unwrap();
        world.connect(socket, to, core);
        world.connected(socket)
    };
    let (address, sockets) = world.listen("[::]:0".parse().unwrap(), 2);
    let v4 = SocketAddr::new("127.0.0.1".parse().unwrap(), address.port());
    assert_eq!(connect(v4), Some(Ok(())), "IPv4 on a socket of both");
    let accepted: Vec<_> = sockets.iter().filter_map(|socket| world.accept(socket.raw(), None).unwrap()).collect();
    assert_eq!(world.peer(accepted[0]).unwrap().ip(), "::ffff:127.0.0.1".parse::<IpAddr>().unwrap());
    drop(sockets);
    assert_eq!(connect(v4), Some(Err(libc::ECONNREFUSED)));
}

#[test]
fn listeners_of_one_address_share_what_comes() {
    let (world, core) = world(Faults::none());
    let (address, sockets) = world.listen("10.0.0.1:80".parse().unwrap(), 4);
    for _ in 0..100 {
        let socket = world.socket(core).unwrap();
        world.connect(socket, address, core);
    }
    let shares: Vec<_> =
        sockets.iter().map(|socket| std::iter::from_fn(|| world.accept(socket.raw(), None).unwrap()).count()).collect();
    assert_eq!(shares.iter().sum::<usize>(), 100);
    assert!(shares.iter().all(|share| *share > 5), "{shares:?}");
}

#[test]
fn a_silent_connect_is_given_up_in_the_end() {
    let (world, core) = world(Faults::none().with(Fault::ConnectSilent, 1000));
    let (address, _sockets) = world.listen("10.0.0.1:80".parse().unwrap(), 1);
    let socket = world.socket(core).unwrap();
    world.connect(socket, address, core);
    world.jump(std::time::Duration::from_secs(100));
    assert_eq!(world.connected(socket), None);
    world.jump(std::time::Duration::from_secs(100));
    assert_eq!(world.connected(socket), Some(Err(libc::ETIMEDOUT)));
}

#[test]
fn a_unix_socket_is_found_by_its_path() {
    let (world, core) = world(slow());
    let listener = world.listen_unix(Path::new("/run/app"));
    let (found, lost) = (world.socket(core).unwrap(), world.socket(core).unwrap());
    world.connect_unix(found, Path::new("/run/app"));
    world.connect_unix(lost, Path::new("/run/other"));
    assert_eq!((world.connected(found), world.connected(lost)), (Some(Ok(())), Some(Err(libc::ENOENT))));
    let server = world.accept(listener.raw(), None).unwrap().unwrap();
    world.send(found, b"hello", false, core).unwrap();
    assert_eq!(read(&world, core, server).0, b"hello");
    assert_eq!((world.peer(server), world.acknowledged(found)), (None, None));
}

#[test]
fn datagrams_without_room_are_lost_and_finding_nobody_is_told() {
    let (world, core) = world(Faults::none());
    let (address, sockets) = world.listen_udp("10.0.0.1:53".parse().unwrap(), 1);
    let client = world.connect_udp(address, core).unwrap();
    for _ in 0..3000 {
        world.send_datagram(client, b"question", None, None).unwrap();
    }
    let mut got = 0;
    while let Some((datagram, tells)) = world.next_datagram(sockets[0].raw()).unwrap() {
        assert_eq!((&datagram.bytes[..], tells, datagram.to), (&b"question"[..], true, address));
        got += 1;
    }
    assert!((1000..2000).contains(&got), "{got} of 3000");
    drop(sockets);
    world.send_datagram(client, b"anybody?", None, None).unwrap();
    assert_eq!(world.send_datagram(client, b"not sent", None, None), Err(libc::ECONNREFUSED));
    assert_eq!(world.send_datagram(client, &vec![0; 65_508], None, None), Err(libc::EMSGSIZE));
}

#[test]
fn a_pipe_moves_bytes_as_far_as_there_is_room() {
    let (world, core) = world(Faults::none().with(Fault::OddPipe, 1000));
    let ((source, from), (to, sink)) = (pair(&world, core), pair(&world, core));
    let pipe = world.pipe(1000, core).unwrap();
    assert_eq!(world.fill_pipe(pipe.number(), from, 500, core), Err(libc::EAGAIN));
    let sent: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    let (mut got, mut held, mut given) = (Vec::new(), 0, 0);
    while got.len() < sent.len() {
        given += world.send(source, &sent[given..], false, core).unwrap();
        match world.fill_pipe(pipe.number(), from, 5000, core) {
            Ok(count) => held += count,
            Err(errno) => assert_eq!(errno, libc::EAGAIN),
        }
        assert!(held <= 1000);
        held -= world.empty_pipe(pipe.number(), to, held, core).unwrap();
        got.extend(read(&world, core, sink).0);
    }
    assert!(got == sent);
    world.close(source);
    assert_eq!(world.fill_pipe(pipe.number(), from, 500, core), Ok(0));
}

#[test]
#[should_panic(expected = "closed twice")]
fn closing_twice_is_found() {
    let (world, core) = world(Faults::none());
    let socket = world.socket(core).unwrap();
    world.close(socket);
    world.close(socket);
}

#[test]
#[should_panic(expected = "used after it was closed")]
fn use_after_close_is_found() {
    let (world, core) = world(Faults::none());
    let socket = world.socket(core).unwrap();
    world.close(socket);
    world.poll(socket, READABLE);
}

#[test]
fn what_is_open_is_known_with_where_it_came_from() {
    let (world, core) = world(Faults::none());
    let (client, server) = pair(&world, core);
    let open = world.open_descriptors();
    assert_eq!(open.len(), 2, "{open:?}");
    assert!(open[0].contains("socket from 10.0.0.1:") && open[1].contains("accept from 10.0.0.1:80 to"), "{open:?}");
    world.close(client);
    world.close(server);
    assert!(world.open_descriptors().is_empty());
}
