//! Open descriptors before and after: alone in its process, since they are counted for all of it.

use ringferry_runtime::net::{Listener, Mode, Stream, Udp};
use ringferry_runtime::{Core, Group, KernelChoice, Settings, bind_tcp, bind_udp, mailbox};
use std::future::pending;
use std::time::Duration;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A core with connections at every stage of life; it ends, or is dropped, in the middle.
fn scene(kernel: KernelChoice, run: bool) {
    let settings = Settings { kernel, submissions: 8, head_buffers: 8, body_buffers: 4, ..Settings::default() };
    let mut core = Core::new(&settings).expect("a kernel of this kind");
    let handle = core.handle();
    let (address, sockets) = bind_tcp("127.0.0.1:0".parse().unwrap(), false, 1).unwrap();
    let mut listener = Listener::new(&handle, &sockets[0]).unwrap();
    let outsiders: Vec<_> = (0..30).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let (udp_address, datagrams) = bind_udp("127.0.0.1:0".parse().unwrap(), false, 1).unwrap();
    let socket = Udp::new(&handle, &datagrams[0]).unwrap();
    let task = handle.clone();
    handle.spawn(async move {
        let client = Udp::connect(&task, udp_address).unwrap();
        client.send(b"unread".as_slice()).unwrap();
        let mut unread = socket.receiver();
        unread.arm();
        drop(client.receiver().recv().await);
    });
    // Accepted and not fetched; fetched and talking; handed over and never received; connecting.
    let (sender, mailbox) = mailbox::channel(20);
    let task = handle.clone();
    handle.spawn(async move {
        for n in 0..20 {
            let socket = listener.accept().await.unwrap();
            if n % 2 == 0 {
                sender.send(socket).unwrap();
                continue;
            }
            let stream = Stream::from_owned(&task, socket);
            task.spawn(async move {
                let mut receiver = stream.receiver(if n % 3 == 0 { Mode::Stream } else { Mode::Once(Group::Head) });
                let _send = stream.send(vec![1; 1 << 20], true);
                drop(receiver.recv().await);
            });
        }
        pending::<()>().await;
    });
    for _ in 0..20 {
        let task = handle.clone();
        handle.spawn(async move {
            let _stream = Stream::connect(&task, address).await;
            pending::<()>().await;
        });
    }
    for _ in 0..10 {
        core.turn(Some(Duration::ZERO));
    }
    if run {
        core.run(async {}).expect("no panic");
    } else {
        drop(core);
    }
    drop((outsiders, mailbox));
}

#[test]
fn nothing_stays_open_when_a_core_has_gone() {
    for kernel in [KernelChoice::Uring, KernelChoice::Epoll] {
        scene(kernel, true);
        let before = open_descriptors();
        for n in 0..20 {
            scene(kernel, n % 2 == 0);
        }
        assert_eq!(open_descriptors(), before, "on {kernel:?}");
    }
}
