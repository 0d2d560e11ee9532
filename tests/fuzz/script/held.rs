//! Received bytes that somebody holds on to: nobody else may write to them.

use super::bytes::Script;
use ringferry_runtime::Lent;

/// What is held.
#[derive(Default)]
pub(super) struct Hand(Vec<Held>);

struct Held {
    /// Whose buffer it is: a buffer does not leave its core.
    core: usize,
    lent: Lent,
    /// What was in it.
    bytes: Vec<u8>,
}

/// More than there are buffers in all.
const HELD_MAX: usize = 40;

impl Hand {
    /// Does one of several things with received bytes: lets them go, keeps them or some of them, or a copy.
    pub(super) fn take(&mut self, core: usize, mut lent: Lent, what: u8) {
        match what % 6 {
            _ if self.0.len() >= HELD_MAX => return,
            0 | 1 => return,
            2 => {}
            3 => lent = lent.detach(),
            4 => lent.advance(usize::from(what) % (lent.len() + 1)),
            _ => lent.truncate(usize::from(what)),
        }
        self.keep(core, lent);
    }

    fn keep(&mut self, core: usize, lent: Lent) {
        let bytes = lent.to_vec();
        self.0.push(Held { core, lent, bytes });
    }

    /// Gives one away that this core has.
    pub(super) fn give(&mut self, core: usize, script: &mut Script<'_>) -> Option<Lent> {
        let places: Vec<usize> = (0..self.0.len()).filter(|place| self.0[*place].core == core).collect();
        if places.is_empty() {
            return None;
        }
        Some(self.0.swap_remove(script.pick(&places)).unchanged())
    }

    /// Writes over one of them, as who decrypts in place does.
    pub(super) fn scribble(&mut self, core: usize, script: &mut Script<'_>) {
        if let Some(mut lent) = self.give(core, script) {
            lent.fill(script.byte());
            self.keep(core, lent);
        }
    }

    /// Lets all of them go.
    pub(super) fn empty(&mut self) {
        self.0.drain(..).for_each(|held| drop(held.unchanged()));
    }
}

impl Held {
    fn unchanged(self) -> Lent {
        assert!(self.lent[..] == self.bytes[..], "somebody has written to bytes that are held");
        self.lent
    }
}
