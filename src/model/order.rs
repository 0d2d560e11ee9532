//! Things in the order in which they came, any of which may leave: a chain through a slab. Adding, leaving and taking the
//! oldest cost the same however many there are.

/// See the module. An entry of something as large as a pointer takes 16 bytes.
#[derive(Debug)]
pub struct Order<T> {
    entries: Vec<Entry<T>>,
    /// Ends of the chain.
    oldest: u32,
    newest: u32,
    /// The first of the free entries, which hang together by `newer`.
    free: u32,
    len: u32,
    /// Entries that are not free: those in the chain, and those that have been taken and not left.
    used: u32,
}

#[derive(Debug)]
struct Entry<T> {
    /// `None` once it has been taken, and while the entry is free.
    value: Option<T>,
    older: u32,
    newer: u32,
}

/// No entry.
pub const NONE: u32 = u32::MAX;
/// An order with room for more than this gives its memory back when it runs empty.
const ROOM_KEPT: usize = 64;

impl<T> Default for Order<T> {
    fn default() -> Order<T> {
        Order { entries: Vec::new(), oldest: NONE, newest: NONE, free: NONE, len: 0, used: 0 }
    }
}

impl<T> Order<T> {
    /// How many are in the order.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Entries that there is memory for.
    pub fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    /// Adds one as the newest. Its place is its own until it [leaves](Order::leave).
    pub fn push(&mut self, value: T) -> u32 {
        self.push_with(|_| value)
    }

    /// The same for one that has to know its place.
    pub fn push_with(&mut self, make: impl FnOnce(u32) -> T) -> u32 {
        let place = match self.free {
            NONE => {
                self.entries.push(Entry { value: None, older: NONE, newer: NONE });
                (self.entries.len() - 1) as u32
            }
            free => {
                self.free = self.entries[free as usize].newer;
                free
            }
        };
        self.entries[place as usize].value = Some(make(place));
        self.link(place);
        self.used += 1;
        place
    }

    /// What is at a place, if it is there and has not been taken.
    pub fn get(&self, place: u32) -> Option<&T> {
        self.entries.get(place as usize)?.value.as_ref()
    }

    /// Makes what is at a place the newest; `None` where there is nothing.
    pub fn renew(&mut self, place: u32) -> Option<&mut T> {
        self.get(place)?;
        if self.newest != place {
            self.unlink(place);
            self.link(place);
        }
        self.entries[place as usize].value.as_mut()
    }

    /// All, with their places, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.entries).filter_map(|(place, entry)| Some((place, entry.value.as_ref()?)))
    }

    /// The place of the oldest, if there is any.
    pub fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// Takes the oldest out of the order. Its place stays its own.
    pub fn take_oldest(&mut self) -> Option<T> {
        let place = self.oldest()?;
        let value = self.entries[place as usize].value.take();
        self.unlink(place);
        value
    }

    /// One leaves, and its place is free. `None` where it had been taken before.
    pub fn leave(&mut self, place: u32) -> Option<T> {
        let value = self.entries[place as usize].value.take();
        if value.is_some() {
            self.unlink(place);
        }
        self.entries[place as usize].newer = self.free;
        self.free = place;
        self.used -= 1;
        if self.used == 0 && self.entries.capacity() > ROOM_KEPT {
            // After a burst.
            *self = Order::default();
        }
        value
    }

    /// Adds it at the end of the chain.
    fn link(&mut self, place: u32) {
        let entry = &mut self.entries[place as usize];
        (entry.older, entry.newer) = (self.newest, NONE);
        match self.newest {
            NONE => self.oldest = place,
            newest => self.entries[newest as usize].newer = place,
        }
        self.newest = place;
        self.len += 1;
    }

    fn unlink(&mut self, place: u32) {
        let Entry { older, newer, .. } = self.entries[place as usize];
        match older {
            NONE => self.oldest = newer,
            older => self.entries[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.entries[newer as usize].older = older,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Rng;
    use std::collections::VecDeque;

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Entry<std::rc::Rc<u64>>>() <= 16);
    }

    #[test]
    fn the_oldest_is_who_came_first_of_those_that_are_there() {
        let mut order = Order::default();
        let places = ["a", "b", "c", "d"].map(|name| order.push(name));
        assert_eq!(order.leave(places[0]), Some("a"));
        assert_eq!(order.leave(places[2]), Some("c"));
        assert_eq!((order.len(), order.take_oldest()), (2, Some("b")));
        let again = order.push("a");
        assert_eq!(order.take_oldest(), Some("d"));
        // Taken is not left: the place is nobody else's yet.
        let other = order.push("e");
        assert!(![places[1], places[3], again].contains(&other));
        assert_eq!((order.leave(places[1]), order.leave(places[3])), (None, None));
        assert_eq!((order.take_oldest(), order.take_oldest(), order.take_oldest()), (Some("a"), Some("e"), None));
        assert_eq!(order.len(), 0);
    }

    #[test]
    fn the_memory_of_a_burst_goes_back() {
        let mut order = Order::default();
        let places: Vec<u32> = (0..1_000).map(|n| order.push(n)).collect();
        order.take_oldest();
        for place in places {
            order.leave(place);
        }
        assert_eq!((order.capacity(), order.is_empty()), (0, true));
        let place = order.push(7);
        assert_eq!(order.leave(place), Some(7));
    }

    #[test]
    fn any_history_keeps_the_order() {
        for seed in 0..64 {
            let mut rng = Rng::new(seed);
            let mut order = Order::default();
            let mut expect = VecDeque::<(u64, u32)>::new();
            let mut taken = Vec::new();
            for n in 0..600 {
                match rng.below(5) {
                    0 | 1 => expect.push_back((n, order.push(n))),
                    2 if !expect.is_empty() => {
                        let (value, place) = expect.remove(rng.below(expect.len() as u64) as usize).unwrap();
                        assert_eq!(order.leave(place), Some(value), "seed {seed}");
                    }
                    3 => {
                        let oldest = expect.pop_front();
                        assert_eq!(order.take_oldest(), oldest.map(|(value, _)| value), "seed {seed}");
                        taken.extend(oldest);
                    }
                    _ => {
                        let gone = taken.pop();
                        assert!(gone.is_none_or(|(_, place)| order.leave(place).is_none()), "seed {seed}");
                    }
                }
                assert_eq!(order.len() as usize, expect.len());
            }
        }
    }
}
