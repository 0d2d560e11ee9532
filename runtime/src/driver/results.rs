//! Results of a multishot operation that nobody has read yet.
//!
//! Nearly always there is none or one. So one has its place here, and only more of them allocate: ten thousand idle
//! connections have such a queue each.

use crate::buf::Lent;
use std::collections::VecDeque;

/// First in, first out.
#[derive(Default)]
pub(super) struct Results {
    first: Option<Brought>,
    /// Empty unless `first` is there; freed when it runs empty.
    #[expect(clippy::box_collection, reason = "a pointer instead of four words, in every idle connection")]
    rest: Option<Box<VecDeque<Brought>>>,
}

/// One completion.
pub(crate) struct Brought {
    /// Non-negative, or a negative errno.
    pub(crate) result: i32,
    /// A received buffer.
    pub(crate) lent: Option<Lent>,
}

impl Results {
    pub(super) fn push(&mut self, brought: Brought) {
        if self.first.is_none() {
            self.first = Some(brought);
        } else {
            self.rest.get_or_insert_default().push_back(brought);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Brought> {
        let Some(rest) = &mut self.rest else { return self.first.take() };
        let next = rest.pop_front();
        if next.is_none() {
            self.rest = None;
        }
        std::mem::replace(&mut self.first, next)
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    /// What the last one to come brought, apart from a buffer.
    pub(super) fn last(&self) -> Option<i32> {
        let last = self.rest.as_ref().and_then(|rest| rest.back());
        last.or(self.first.as_ref()).map(|brought| brought.result)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_out_in_the_order_in_which_they_came() {
        let mut results = Results::default();
        let (mut next_in, mut next_out) = (0, 0);
        for burst in [1, 3, 2, 7, 1] {
            for _ in 0..burst {
                results.push(Brought { result: next_in, lent: None });
                assert_eq!(results.last(), Some(next_in));
                next_in += 1;
            }
            for _ in 0..burst - burst / 3 {
                assert_eq!(results.pop().map(|brought| brought.result), Some(next_out));
                next_out += 1;
            }
            assert_eq!(results.len(), (next_in - next_out) as usize);
        }
        while let Some(brought) = results.pop() {
            assert_eq!(brought.result, next_out);
            next_out += 1;
        }
        assert_eq!(next_in, next_out);
        assert!(results.is_empty() && results.rest.is_none());
    }
}
