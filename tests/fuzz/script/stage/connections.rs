//! Connections come and go: connects, listeners, and cores that hand over what they have accepted.

use super::super::bytes::Script;
use super::super::end::End;
use super::super::watch::Watch;
use super::{OTHERS_MAX, Stage};
use ringferry_runtime::mailbox::{self, Sender};
use ringferry_runtime::net::{Listener, Stream};
use ringferry_runtime::{Handle, Socket};
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

pub(super) struct Listening {
    pub(super) listener: Listener,
    pub(super) accepting: Watch,
}

pub(super) struct Connecting {
    pub(super) core: usize,
    pub(super) connect: Pin<Box<dyn Future<Output = io::Result<Stream>>>>,
    pub(super) connected: Watch,
}

pub(super) struct Closing {
    pub(super) close: Pin<Box<dyn Future<Output = Vec<Socket>>>>,
    pub(super) closed: Watch,
}

/// Connections that have come to a core by its mailbox.
pub(super) type Arrived = Rc<RefCell<Vec<(usize, Stream)>>>;

/// How much there may be of each.
const ENDS_MAX: usize = 16;
const LISTENING_MAX: usize = 6;
const CONNECTING_MAX: usize = 12;
/// Sockets that wait in a mailbox.
const MAILBOX: usize = 4;
/// Errors of one listener in a row that go by; then it is given up.
const ACCEPT_ERRORS_MAX: usize = 4;

impl Stage {
    pub(super) fn connect(&mut self, script: &mut Script<'_>) {
        if self.connecting.len() >= CONNECTING_MAX {
            return;
        }
        let core = script.below(3);
        let nobody = "10.0.0.9:9".parse().expect("an address");
        let to = script.pick(&[self.addresses[0], self.addresses[1], self.addresses[0], nobody]);
        let handle = self.handles[core].clone();
        let connect = Box::pin(async move { Stream::connect(&handle, to).await });
        self.connecting.push(Connecting { core, connect, connected: Watch::new() });
    }

    pub(super) fn poll_connect(&mut self, script: &mut Script<'_>) {
        if self.connecting.is_empty() {
            return;
        }
        let place = script.below(self.connecting.len());
        if script.byte() == 1 {
            drop(self.connecting.swap_remove(place));
        } else {
            self.go_on_connecting(place);
        }
    }

    /// Whether the connect has ended.
    pub(super) fn go_on_connecting(&mut self, place: usize) -> bool {
        let Connecting { core, connect, connected } = &mut self.connecting[place];
        let core = *core;
        let Poll::Ready(result) = connected.poll(|cx| connect.as_mut().poll(cx)) else { return false };
        if let Ok(stream) = result {
            self.add_end(core, stream, false);
        }
        drop(self.connecting.swap_remove(place));
        true
    }

    fn add_end(&mut self, core: usize, stream: Stream, is_accepted: bool) {
        let ways = self.ledger.ways(&stream, is_accepted);
        let end = End::new(core, stream, ways);
        self.ends.push(end);
        if self.ends.len() > ENDS_MAX {
            self.ends.remove(0);
        }
    }

    pub(super) fn poll_accept(&mut self, script: &mut Script<'_>) {
        if self.listening.is_empty() {
            return;
        }
        let (place, to) = (script.below(self.listening.len()), script.byte());
        if let Poll::Ready(Ok(socket)) = accept(&mut self.listening[place]) {
            self.take_in(socket, to);
        }
    }

    /// A connection for a core, straight or by its mailbox.
    fn take_in(&mut self, socket: Socket, to: u8) {
        let core = usize::from(to) % 3;
        if to < 128 {
            let stream = Stream::from_owned(&self.handles[core], socket);
            self.add_end(core, stream, true);
        } else {
            // Where the mailbox is full the connection ends.
            drop(self.senders[core].send(socket));
        }
    }

    pub(super) fn fetch_arrived(&mut self) {
        let arrived = std::mem::take(&mut *self.arrived.borrow_mut());
        for (core, stream) in arrived {
            self.add_end(core, stream, true);
        }
    }

    pub(super) fn change_listener(&mut self, script: &mut Script<'_>) {
        let which = script.below(2);
        match script.byte() % 8 {
            0 => self.sockets[which] = self.world.listen(self.addresses[which], 1).1.pop(),
            1 => self.sockets[which] = None,
            2 if !self.listening.is_empty() && self.closing.len() < OTHERS_MAX => {
                let listening = self.listening.swap_remove(script.below(self.listening.len()));
                let close = Box::pin(listening.listener.close());
                self.closing.push(Closing { close, closed: Watch::new() });
            }
            3 | 4 if !self.listening.is_empty() => {
                drop(self.listening.swap_remove(script.below(self.listening.len())));
            }
            5 => drop(self.go_on_closing()),
            _ if self.listening.len() < LISTENING_MAX => {
                self.listening.extend(listen(script.below(3), &self.handles, self.sockets[which].as_ref()));
            }
            _ => {}
        }
    }

    /// Whether one has closed.
    pub(super) fn go_on_closing(&mut self) -> bool {
        for place in 0..self.closing.len() {
            let Closing { close, closed } = &mut self.closing[place];
            if let Poll::Ready(sockets) = closed.poll(|cx| close.as_mut().poll(cx)) {
                drop(self.closing.swap_remove(place));
                sockets.into_iter().for_each(|socket| self.take_in(socket, 0));
                return true;
            }
        }
        false
    }

    pub(super) fn poll_all(&mut self) {
        for place in (0..self.connecting.len()).rev() {
            self.go_on_connecting(place);
        }
        for place in 0..self.listening.len() {
            if let Poll::Ready(Ok(socket)) = accept(&mut self.listening[place]) {
                self.take_in(socket, place as u8);
            }
        }
    }

    /// Accepts all that has come.
    pub(super) fn go_on_accepting(&mut self, place: usize) {
        let mut errors = 0;
        while errors < ACCEPT_ERRORS_MAX {
            match accept(&mut self.listening[place]) {
                Poll::Ready(Ok(socket)) => self.take_in(socket, place as u8),
                // Nobody listens there any more.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => break,
                Poll::Ready(Err(_)) => errors += 1,
                Poll::Pending => return,
            }
        }
        drop(self.listening.swap_remove(place));
    }
}

/// A task that makes connections of the sockets that come to a core.
pub(super) fn open_mailbox(core: usize, handle: &Handle, arrived: &Arrived) -> Sender<Socket> {
    let (sender, mut mailbox) = mailbox::channel(MAILBOX);
    let (on, arrived) = (handle.clone(), arrived.clone());
    handle.spawn(async move {
        while let Some(socket) = mailbox.recv().await {
            arrived.borrow_mut().push((core, Stream::from_owned(&on, socket)));
        }
    });
    sender
}

pub(super) fn listen(core: usize, handles: &[Handle; 3], socket: Option<&Socket>) -> Option<Listening> {
    let listener = Listener::new(&handles[core], socket?).ok()?;
    Some(Listening { listener, accepting: Watch::new() })
}

/// Asks once for a connection. Nothing is lost by giving that up.
fn accept(listening: &mut Listening) -> Poll<io::Result<Socket>> {
    let Listening { listener, accepting } = listening;
    let mut accept = pin!(listener.accept());
    accepting.poll(|cx| accept.as_mut().poll(cx))
}
