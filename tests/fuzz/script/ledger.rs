//! What has been sent on each connection, and whether it is that what arrives.

use ringferry_runtime::net::Stream;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

/// All connections, by the address that their client has.
#[derive(Default)]
pub(super) struct Ledger(BTreeMap<SocketAddr, [Way; 2]>);

impl Ledger {
    /// The ways of a connection, the one out first, as the end has them that `stream` is.
    pub(super) fn ways(&mut self, stream: &Stream, is_accepted: bool) -> [Way; 2] {
        let client = if is_accepted { stream.peer() } else { stream.local() };
        let client = client.expect("a connection of TCP has addresses");
        let fresh = |direction| Way(Rc::new(RefCell::new(Passed::new(u64::from(client.port()) << 1 | direction))));
        let [up, down] = self.0.entry(client).or_insert_with(|| [fresh(0), fresh(1)]).clone();
        if is_accepted { [down, up] } else { [up, down] }
    }
}

/// One direction of a connection. Clones are the same one.
#[derive(Clone)]
pub(super) struct Way(Rc<RefCell<Passed>>);

struct Passed {
    pattern: u64,
    /// All that was given to be sent, unless it is known not to have gone.
    sent: Vec<u8>,
    received: usize,
    sender: Sender,
    /// A send was given up or failed: what of it has gone is not known, and nothing is sent after it.
    is_torn: bool,
    /// A send goes on, which may have met the error that ends the connection and not told it yet.
    is_sending: bool,
    /// A receive was given up: what it had got is lost.
    has_gaps: bool,
    /// The receiving end has met no error, has given nothing up and shut nothing: so an end that it finds is the sender's.
    is_certain: bool,
}

/// See [`Way::own`].
pub(super) struct Owner(Way);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What is known of who sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// Not seen; it may be in a backlog, or gone.
    Unseen,
    Open,
    /// It sends no more.
    Ended,
}

/// Bytes of one direction.
const SENT_MAX: usize = 1 << 20;

impl Passed {
    fn new(pattern: u64) -> Passed {
        Passed {
            pattern,
            sent: Vec::new(),
            received: 0,
            sender: Sender::Unseen,
            is_torn: false,
            is_sending: false,
            has_gaps: false,
            is_certain: true,
        }
    }
}

impl Way {
    /// Somebody has the end that sends, until the last who has this drops it.
    pub(super) fn own(&self) -> Rc<Owner> {
        self.0.borrow_mut().sender = Sender::Open;
        Rc::new(Owner(self.clone()))
    }

    pub(super) fn end(&self) {
        self.0.borrow_mut().sender = Sender::Ended;
    }

    /// Whether more may be sent: not after a send of which only a part may have gone.
    pub(super) fn takes_more(&self) -> bool {
        let passed = self.0.borrow();
        !passed.is_torn && passed.sent.len() < SENT_MAX
    }

    pub(super) fn set_sending(&self, is_sending: bool) {
        self.0.borrow_mut().is_sending = is_sending;
    }

    /// How many bytes have been given to be sent.
    pub(super) fn sent(&self) -> usize {
        self.0.borrow().sent.len()
    }

    /// `len` bytes, which are sent now.
    pub(super) fn make(&self, len: usize) -> Vec<u8> {
        let pattern = self.0.borrow().pattern;
        let from = self.sent() as u64;
        let bytes: Vec<u8> = (from..from + len as u64).map(|offset| byte(pattern, offset)).collect();
        self.give(&bytes);
        bytes
    }

    /// These are sent now.
    pub(super) fn give(&self, bytes: &[u8]) {
        self.0.borrow_mut().sent.extend_from_slice(bytes);
    }

    /// Only the first `len` of all have gone.
    pub(super) fn take_back(&self, len: usize) {
        let mut passed = self.0.borrow_mut();
        assert!(passed.received <= len, "{} bytes received of {len} sent", passed.received);
        passed.sent.truncate(len);
    }

    /// What has gone of the last send is not known.
    pub(super) fn tear(&self) {
        self.0.borrow_mut().is_torn = true;
    }

    /// These have come.
    pub(super) fn receive(&self, bytes: &[u8]) {
        let mut passed = self.0.borrow_mut();
        if passed.has_gaps {
            // Where it belongs is not known any more, but somewhere behind what came before: the first such place will do.
            let from = passed.received;
            let found = passed.sent[from..].windows(bytes.len()).position(|sent| sent == bytes);
            let place =
                found.unwrap_or_else(|| panic!("{} bytes received that were not sent after {from}", bytes.len()));
            passed.received = from + place + bytes.len();
            return;
        }
        let from = passed.received;
        passed.received += bytes.len();
        let is_sent = passed.sent.get(from..passed.received) == Some(bytes);
        assert!(is_sent, "{} bytes received at {from} that are not those of {} sent", bytes.len(), passed.sent.len());
    }

    /// So many have come, unseen; which those are. Not after something was lost.
    pub(super) fn receive_unseen(&self, count: usize) -> Vec<u8> {
        let mut passed = self.0.borrow_mut();
        let from = passed.received;
        passed.received += count;
        let moved = passed.sent.get(from..passed.received);
        moved.unwrap_or_else(|| panic!("{count} bytes moved at {from} of {} sent", passed.sent.len())).to_vec()
    }

    /// Something that had been received may be lost.
    pub(super) fn lose(&self) {
        let mut passed = self.0.borrow_mut();
        passed.has_gaps = true;
        passed.is_certain = false;
    }

    pub(super) fn has_gaps(&self) -> bool {
        self.0.borrow().has_gaps
    }

    /// An end that is found is perhaps not the sender's.
    pub(super) fn doubt(&self) {
        self.0.borrow_mut().is_certain = false;
    }

    /// The end has come, to who sends by the other way. `is_cut` tells that the network may have made it.
    pub(super) fn receive_end(&self, other: &Way, is_cut: bool) {
        let passed = self.0.borrow();
        if is_cut || !passed.is_certain || other.0.borrow().is_sending {
            return;
        }
        assert!(passed.sender != Sender::Open, "an end of who has not ended");
        let is_whole = passed.is_torn || passed.is_sending || passed.received == passed.sent.len();
        assert!(is_whole, "the end after {} of {} bytes", passed.received, passed.sent.len());
    }

    /// Nothing comes any more although somebody receives, and neither an end nor an error has come.
    pub(super) fn expect_all(&self) {
        let passed = self.0.borrow();
        assert!(passed.sender != Sender::Ended, "who sends has ended, and who receives is not told");
        let is_whole = passed.has_gaps || passed.is_torn || passed.received == passed.sent.len();
        assert!(is_whole, "{} of {} bytes come, and no more", passed.received, passed.sent.len());
    }
}

/// The byte at `offset` of what is sent: another one for each way, and seldom the same as near by.
fn byte(pattern: u64, offset: u64) -> u8 {
    let mixed = pattern.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (offset >> 3).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ mixed >> 29).to_le_bytes()[(offset & 7) as usize]
}
