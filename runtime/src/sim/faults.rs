//! What may go wrong, and how often. Whether it does is drawn by the world, once for each occasion.

use super::Random;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A receive brings fewer bytes than there are.
    ShortReceive,
    /// A receive brings one byte.
    OneByteReceived,
    /// A send that need not wait for all takes fewer bytes than there is room for.
    ShortSend,
    /// Operations are looked at, and completions come, in any order; those of one operation stay in theirs.
    Shuffled,
    /// An operation goes on for some turns after it was cancelled, and may complete by itself.
    CancelLoses,
    /// A multishot operation ends with something that it brings.
    EndsEarly,
    /// A receive is told that there is no buffer.
    NoBuffer,
    /// The submission queue is full: operations are handed over turns later.
    SubmissionsLate,
    /// The completion queue is full: completions come turns later.
    CompletionsLate,
    /// An accept fails with EMFILE or ENFILE, and ends.
    NoDescriptorForAccept,
    /// An accept fails with ECONNABORTED, and ends; the connection is gone.
    AcceptAborted,
    /// A socket cannot be made: EMFILE.
    NoDescriptorForSocket,
    /// A pipe cannot be made: EMFILE.
    NoDescriptorForPipe,
    /// A pipe takes an odd number of bytes at a time.
    OddPipe,
    /// The clock goes on by seconds all at once.
    ClockJumps,
    /// Bytes and datagrams need a while to arrive.
    Latency,
    /// A connection that passes bytes on in small pieces.
    SmallPieces,
    /// A connection that passes bytes on one by one.
    OneByteAtATime,
    /// A connection with little room for what waits.
    SmallWindows,
    /// What one end sends stops at some byte, as if it had closed.
    EndedByNetwork,
    /// A connection is reset at some byte.
    ResetByNetwork,
    /// A connect is refused.
    ConnectRefused,
    /// A connect is never answered.
    ConnectSilent,
    /// A connect takes seconds.
    ConnectSlow,
    /// A datagram is lost.
    DatagramLost,
}

impl Fault {
    /// All.
    pub const ALL: [Fault; 25] = [
        Fault::ShortReceive,
        Fault::OneByteReceived,
        Fault::ShortSend,
        Fault::Shuffled,
        Fault::CancelLoses,
        Fault::EndsEarly,
        Fault::NoBuffer,
        Fault::SubmissionsLate,
        Fault::CompletionsLate,
        Fault::NoDescriptorForAccept,
        Fault::AcceptAborted,
        Fault::NoDescriptorForSocket,
        Fault::NoDescriptorForPipe,
        Fault::OddPipe,
        Fault::ClockJumps,
        Fault::Latency,
        Fault::SmallPieces,
        Fault::OneByteAtATime,
        Fault::SmallWindows,
        Fault::EndedByNetwork,
        Fault::ResetByNetwork,
        Fault::ConnectRefused,
        Fault::ConnectSilent,
        Fault::ConnectSlow,
        Fault::DatagramLost,
    ];

    /// Whether it happens on the way between cores, whichever they are; else it is done by the kernel of a core that is
    /// [tested](super::Role::Tested).
    pub fn is_of_network(self) -> bool {
        self >= Fault::Latency
    }

    /// Of a thousand occasions, how many it takes where it is frequent.
    fn frequent(self) -> u64 {
        match self {
            Fault::ShortReceive | Fault::ShortSend | Fault::OddPipe | Fault::Shuffled | Fault::Latency => 600,
            Fault::CancelLoses | Fault::SmallPieces | Fault::SmallWindows => 400,
            Fault::EndsEarly | Fault::NoBuffer | Fault::SubmissionsLate | Fault::CompletionsLate => 150,
            Fault::OneByteReceived | Fault::NoDescriptorForPipe => 100,
            Fault::AcceptAborted | Fault::NoDescriptorForAccept | Fault::NoDescriptorForSocket => 80,
            Fault::EndedByNetwork | Fault::ResetByNetwork | Fault::DatagramLost => 80,
            Fault::ConnectRefused | Fault::ConnectSilent | Fault::ConnectSlow | Fault::OneByteAtATime => 60,
            // An occasion is each time that all wait.
            Fault::ClockJumps => 5,
        }
    }
}

/// How often each [`Fault`] happens, of a thousand occasions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults([u16; Fault::ALL.len()]);

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Faults {
        Faults([0; Fault::ALL.len()])
    }

    /// A mixture that `seed` decides. Half of the faults never happen in one mixture, so that each is also seen without
    /// the others: a reset that always comes first would hide what a short receive does.
    pub fn drawn(seed: u64) -> Faults {
        // Another stream than that of the world, which has the same seed.
        let mut random = Random::new(seed ^ 0xfa17);
        Faults(Fault::ALL.map(|fault| match random.below(2) {
            0 => 0,
            _ => random.magnitude(fault.frequent()) as u16,
        }))
    }

    /// With `fault` in so many of a thousand occasions.
    pub fn with(mut self, fault: Fault, of_thousand: u16) -> Faults {
        self.0[fault as usize] = of_thousand.min(1000);
        self
    }

    /// Of a thousand occasions, how many `fault` takes.
    pub fn rate(&self, fault: Fault) -> u16 {
        self.0[fault as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_in_the_list_in_their_order() {
        assert!(Fault::ALL.iter().enumerate().all(|(place, fault)| *fault as usize == place));
        assert_eq!(*Fault::ALL.last().unwrap(), Fault::DatagramLost);
    }

    #[test]
    fn a_mixture_leaves_some_faults_out_and_each_is_in_some() {
        for fault in Fault::ALL {
            let with = (0..100).filter(|seed| Faults::drawn(*seed).rate(fault) > 0).count();
            assert!((20..80).contains(&with), "{fault:?} in {with} of 100");
        }
    }
}
