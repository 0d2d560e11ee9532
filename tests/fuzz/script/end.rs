//! One end of a connection, and all that can be done with it.

use super::bytes::Script;
use super::held::Hand;
use super::ledger::{Owner, Way};
use super::watch::Watch;
use ringferry_runtime::net::{Mode, Receiver, Send, SendAll, SendWhole, Stream};
use ringferry_runtime::time::Sleep;
use ringferry_runtime::{Chunk, Group, Handle, JoinHandle, race};
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// See the module.
pub(super) struct End {
    pub(super) core: usize,
    pub(super) stream: Option<Stream>,
    intake: Option<Intake>,
    receiving: Watch,
    /// A task that receives instead.
    reading: Option<JoinHandle<()>>,
    sending: Option<Sending>,
    sent: Watch,
    readiness: Option<Pin<Box<dyn Future<Output = io::Result<()>>>>>,
    ready: Watch,
    /// `None` once nothing of it is left.
    owner: Option<Rc<Owner>>,
    pub(super) out: Way,
    pub(super) into: Way,
}

/// Who receives. Dropped before it is quiet it may lose what has come.
struct Intake {
    receiver: Receiver,
    way: Way,
    is_quiet: bool,
}

impl Drop for Intake {
    fn drop(&mut self) {
        if !self.is_quiet {
            self.way.lose();
        }
    }
}

/// A send that goes on.
enum Sending {
    One { send: Send, from: usize, bytes: Vec<u8> },
    Whole(SendWhole),
    All(SendAll),
}

/// Bytes that the program itself has.
static STATIC: [u8; 500] = [0x5a; 500];
/// How long a task receives before it gives up, in one of two cases.
const READ_MAX: Duration = Duration::from_millis(300);

impl End {
    pub(super) fn new(core: usize, stream: Stream, [out, into]: [Way; 2]) -> End {
        End {
            owner: Some(out.own()),
            core,
            stream: Some(stream),
            intake: None,
            receiving: Watch::new(),
            reading: None,
            sending: None,
            sent: Watch::new(),
            readiness: None,
            ready: Watch::new(),
            out,
            into,
        }
    }

    // Receiving.

    /// Whoever receives from here on, in this mode.
    pub(super) fn set_mode(&mut self, mode: Mode) {
        self.receiving.ask_anew();
        match (&mut self.intake, &self.stream) {
            (Some(intake), _) => intake.receiver.set_mode(mode),
            (None, Some(stream)) if self.reading.is_none() => {
                self.intake = Some(Intake { receiver: stream.receiver(mode), way: self.into.clone(), is_quiet: true });
            }
            _ => {}
        }
    }

    pub(super) fn arm(&mut self) {
        if let Some(intake) = &mut self.intake {
            self.receiving.ask_anew();
            intake.is_quiet = false;
            intake.receiver.arm();
        }
    }

    /// Looks whether something has come, and whether the connection broke.
    pub(super) fn look(&mut self) {
        let Some(intake) = &mut self.intake else { return };
        let _ = intake.receiver.is_ready();
        self.receiving.ask_anew();
        intake.is_quiet = false;
        if self.receiving.poll(|cx| intake.receiver.poll_broken(cx)).is_ready() {
            self.into.doubt();
        }
        self.receiving.ask_anew();
    }

    /// Receives once; whether something came.
    pub(super) fn receive(&mut self, hand: &mut Hand, what: u8, is_cut: bool) -> bool {
        let Some(intake) = &mut self.intake else { return false };
        intake.is_quiet = false;
        let Poll::Ready(received) = self.receiving.poll(|cx| intake.receiver.poll_recv(cx)) else { return false };
        match received {
            Ok(Some(lent)) => {
                assert!(!lent.is_empty(), "nothing received");
                self.into.receive(&lent);
                hand.take(self.core, lent, what);
            }
            Ok(None) => self.into.receive_end(&self.out, is_cut),
            Err(_) => self.into.doubt(),
        }
        true
    }

    /// Receives until nothing more comes; after the end or an error nobody receives. Whether anything was to be done.
    fn drain(&mut self, hand: &mut Hand, is_cut: bool) -> bool {
        let mut was_due = false;
        while let Some(intake) = &mut self.intake
            && self.receiving.is_due()
        {
            intake.is_quiet = false;
            was_due = true;
            let Poll::Ready(received) = self.receiving.poll(|cx| intake.receiver.poll_recv(cx)) else { break };
            match received {
                Ok(Some(lent)) => {
                    self.into.receive(&lent);
                    hand.take(self.core, lent, 0);
                    continue;
                }
                Ok(None) => self.into.receive_end(&self.out, is_cut),
                Err(_) => self.into.doubt(),
            }
            self.drop_receiver();
        }
        was_due
    }

    /// Ends what is armed, one step of it.
    pub(super) fn quieten(&mut self, hand: &mut Hand, what: u8) {
        let Some(intake) = &mut self.intake else { return };
        self.receiving.ask_anew();
        // It tells of neither an end nor an error that came instead of bytes.
        self.into.doubt();
        match self.receiving.poll(|cx| intake.receiver.poll_quiet(cx)) {
            Poll::Ready(Some(lent)) => {
                self.into.receive(&lent);
                hand.take(self.core, lent, what);
            }
            Poll::Ready(None) => intake.is_quiet = true,
            Poll::Pending => {}
        }
        self.receiving.ask_anew();
    }

    pub(super) fn drop_receiver(&mut self) {
        self.intake = None;
        self.receiving.ask_anew();
    }

    /// Has a task receive all that comes, or all that comes in a while.
    pub(super) fn read_in_task(&mut self, handle: &Handle, is_patient: bool, may_be_cut: impl Fn() -> bool + 'static) {
        if self.reading.is_some() {
            return;
        }
        self.set_mode(Mode::Stream);
        let Some(mut intake) = self.intake.take() else { return };
        self.receiving.ask_anew();
        let (core, out, owner) = (handle.clone(), self.out.clone(), self.owner.clone());
        self.reading = Some(handle.spawn_joinable(async move {
            let _owner = owner;
            intake.is_quiet = false;
            let give_up = Sleep::new(&core, READ_MAX);
            let all = pin!(async {
                while let Ok(received) = intake.receiver.recv().await {
                    let Some(lent) = received else { return intake.way.receive_end(&out, may_be_cut()) };
                    intake.way.receive(&lent);
                }
            });
            if is_patient {
                all.await;
            } else {
                race(all, pin!(give_up)).await;
            }
        }));
    }

    /// Whether who may receive from it by a pipe takes nothing from anybody.
    pub(super) fn is_quiet(&self) -> bool {
        self.reading.is_none() && !self.into.has_gaps() && self.intake.as_ref().is_none_or(|intake| intake.is_quiet)
    }

    /// Whether something may be sent by a pipe.
    pub(super) fn may_be_sent_to(&self) -> bool {
        self.sending.is_none() && self.out.takes_more()
    }

    // Sending.

    /// Begins to send, in one of several ways; one send at a time.
    pub(super) fn send(&mut self, script: &mut Script<'_>, hand: &mut Hand) {
        let (shape, size) = (script.byte(), script.size());
        let Some(stream) = self.stream.as_ref().filter(|_| self.sending.is_none() && self.out.takes_more()) else {
            return;
        };
        let from = self.out.sent();
        let lent = |hand: &mut Hand, script: &mut Script<'_>| {
            let lent = hand.give(self.core, script)?;
            self.out.give(&lent);
            Some(Chunk::from(lent))
        };
        self.sent.ask_anew();
        let sending = match shape % 7 {
            0 | 1 => {
                let bytes = self.out.make(size);
                Sending::One { send: stream.send(bytes.clone(), shape % 7 == 0), from, bytes }
            }
            2 => Sending::Whole(stream.send_whole(self.out.make(size))),
            3 => {
                let bytes = &STATIC[..size.min(STATIC.len())];
                self.out.give(bytes);
                Sending::Whole(stream.send_whole(bytes))
            }
            4 => match lent(hand, script) {
                Some(chunk) => Sending::Whole(stream.send_whole(chunk)),
                None => return,
            },
            5 => match lent(hand, script) {
                Some(chunk) => {
                    let bytes = chunk.to_vec();
                    Sending::One { send: stream.send(chunk, script.flag()), from, bytes }
                }
                None => return,
            },
            _ => {
                let first = script.flag().then(|| Chunk::from(self.out.make(size)));
                let second = if script.flag() { lent(hand, script) } else { None };
                let third = script.flag().then(|| Chunk::from(self.out.make(script.size())));
                Sending::All(stream.send_all([first, second, third]))
            }
        };
        self.out.set_sending(true);
        self.sending = Some(sending);
    }

    /// Whether the send has ended.
    pub(super) fn poll_send(&mut self) -> bool {
        let Some(sending) = &mut self.sending else { return false };
        let polled = self.sent.poll(|cx| match sending {
            Sending::One { send, .. } => Pin::new(send).poll(cx).map(|(result, chunk)| (result.map(Some), Some(chunk))),
            Sending::Whole(send) => Pin::new(send).poll(cx).map(|(result, _)| (result.map(|()| None), None)),
            Sending::All(send) => Pin::new(send).poll(cx).map(|(result, _)| (result.map(|()| None), None)),
        });
        let Poll::Ready((result, chunk)) = polled else { return false };
        match (&*sending, result) {
            (Sending::One { from, bytes, .. }, result) => {
                assert!(chunk.is_some_and(|chunk| chunk[..] == bytes[..]), "another chunk comes back");
                let count = result.as_ref().ok().copied().flatten().unwrap_or(0);
                assert!(count <= bytes.len());
                self.out.take_back(from + count);
                // What has gone is told first, and who receives may not be told of the error that came after it.
                let is_error = result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock);
                if is_error || count < bytes.len() {
                    self.into.doubt();
                }
            }
            (_, Ok(_)) => {}
            (_, Err(_)) => {
                self.out.tear();
                self.into.doubt();
            }
        }
        self.sending = None;
        self.out.set_sending(false);
        true
    }

    pub(super) fn drop_send(&mut self) {
        if self.sending.take().is_some() {
            self.out.tear();
            self.into.doubt();
        }
    }

    // Both.

    pub(super) fn shut_down(&mut self, how: Shutdown) {
        let Some(stream) = &self.stream else { return };
        let _ = stream.shutdown(how);
        if how != Shutdown::Read {
            self.out.end();
        }
        if how != Shutdown::Write {
            self.into.doubt();
        }
    }

    /// What else there is to set or to ask.
    pub(super) fn tweak(&mut self, which: u8, on: bool) {
        let Some(stream) = &self.stream else { return };
        match which % 4 {
            0 => stream.reset_on_close(on),
            1 => stream.endure(),
            2 => drop((stream.is_near(), stream.unreceived())),
            _ => drop((stream.acknowledged(), stream.peer(), stream.local())),
        }
    }

    /// Begins to wait until something can be received or sent, goes on with it, or gives it up.
    pub(super) fn wait(&mut self, what: u8) {
        match (what % 4, &self.stream) {
            (which @ (0 | 1), Some(stream)) => {
                let stream = stream.clone();
                self.ready.ask_anew();
                self.readiness = Some(Box::pin(async move {
                    if which == 0 { stream.readable().await } else { stream.writable().await }
                }));
            }
            (2, _) => self.readiness = None,
            _ => drop(self.poll_ready()),
        }
    }

    pub(super) fn poll_ready(&mut self) -> bool {
        let Some(readiness) = &mut self.readiness else { return false };
        let is_ready = self.ready.poll(|cx| readiness.as_mut().poll(cx)).is_ready();
        if is_ready {
            self.readiness = None;
        }
        is_ready
    }

    /// Drops the stream itself; what has been begun goes on.
    pub(super) fn drop_stream(&mut self) {
        self.stream = None;
    }

    /// Goes on with what may go on; whether anything did, or has been asked for.
    pub(super) fn go_on(&mut self, hand: &mut Hand, is_cut: bool) -> bool {
        let mut did = self.drain(hand, is_cut);
        if self.sending.is_some() && self.sent.is_due() {
            self.poll_send();
            did = true;
        }
        if self.readiness.is_some() && self.ready.is_due() {
            self.poll_ready();
            did = true;
        }
        if self.reading.as_mut().is_some_and(|reading| reading.take_if_ended().is_some()) {
            self.reading = None;
            did = true;
        }
        self.note_whether_closed();
        did
    }

    /// Nothing happens any more: all that was sent has come, and nobody waits for what is there.
    pub(super) fn expect_all(&mut self) {
        self.poll_send();
        self.poll_ready();
        if let Some(intake) = &mut self.intake {
            assert!(self.receiving.poll(|cx| intake.receiver.poll_recv(cx)).is_pending());
        }
        if self.intake.is_some() || self.reading.is_some() {
            self.into.expect_all();
        }
    }

    /// When nothing of this end is left it has been closed, unless a task has it.
    pub(super) fn note_whether_closed(&mut self) {
        if self.stream.is_none() && self.intake.is_none() && self.sending.is_none() && self.readiness.is_none() {
            self.owner = None;
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.drop_send();
    }
}

/// How to receive.
pub(super) fn mode(which: u8) -> Mode {
    match which % 3 {
        0 => Mode::Stream,
        1 => Mode::Once(Group::Body),
        _ => Mode::Once(Group::Head),
    }
}
