//! Clients and a server of UDP: what is asked comes back, or is lost; never somebody else's.

use crate::ledger::Ledger;
use crate::pattern::{self, Way};
use ringferry_runtime::net::Udp;
use ringferry_runtime::time::{Alarm, Sleep};
use ringferry_runtime::{Handle, Socket};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends back what comes to `socket`, until the core ends.
pub(crate) fn echo(handle: &Handle, socket: &Socket) {
    let socket = Udp::new(handle, socket).expect("a socket");
    let handle = handle.clone();
    handle.clone().spawn(async move {
        let mut receiver = socket.receiver();
        loop {
            match receiver.recv().await {
                Ok(datagram) => drop(socket.send_to(datagram.segments(), datagram.peer, datagram.local)),
                Err(_) => Sleep::new(&handle, Duration::from_millis(1)).await,
            }
        }
    });
}

/// Asks `count` times, each with another datagram, and looks at what comes back.
pub(crate) async fn ask(handle: &Handle, to: SocketAddr, id: u32, count: u32, ledger: &Ledger) {
    let Ok(socket) = Udp::connect(handle, to) else { return };
    let mut receiver = socket.receiver();
    for n in 0..count {
        let asked = question(id, n);
        if socket.send(&asked[..]).is_err() {
            return;
        }
        let mut alarm = Alarm::new(handle);
        alarm.set(PATIENCE);
        match alarm.guard(pin!(receiver.recv())).await {
            Ok(Ok(datagram)) if datagram.segments().bytes() == asked => ledger.passed(asked.len()),
            // One that came too late for the question before.
            Ok(Ok(datagram)) => {
                let earlier = (0..n).any(|n| datagram.segments().bytes() == question(id, n));
                if !earlier || ledger.is_calm() {
                    ledger.problem(format!("{id}: a datagram came that answers nothing"));
                }
            }
            Ok(Err(_)) | Err(_) => ledger.broken(id, "given no datagram"),
        }
    }
}

fn question(id: u32, n: u32) -> Vec<u8> {
    pattern::bytes(id, Way::Up, u64::from(n) * 1000, 100 + n as usize)
}
