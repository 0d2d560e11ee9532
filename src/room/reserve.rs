//! Descriptors set aside: open, and for nothing but to be closed when one is needed at once.

use std::os::unix::net::UnixDatagram;

/// See the module. All of them are of one socket, so that each costs its place in the table of descriptors alone.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    socket: Option<UnixDatagram>,
    held: Vec<UnixDatagram>,
    size: usize,
}

impl Reserve {
    /// Holds `size` descriptors, or as many as there are.
    pub(super) fn new(size: usize) -> Reserve {
        let mut reserve = Reserve { socket: UnixDatagram::unbound().ok(), held: Vec::with_capacity(size), size };
        reserve.refill();
        reserve
    }

    /// Closes one, so that another can be opened now. False where none is left.
    pub(super) fn spend(&mut self) -> bool {
        self.held.pop().is_some()
    }

    /// Takes back what has been spent, as far as there are descriptors for it.
    pub(super) fn refill(&mut self) {
        let Some(socket) = &self.socket else { return };
        while self.held.len() < self.size {
            let Ok(one) = socket.try_clone() else { return };
            self.held.push(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_is_taken_back() {
        let mut reserve = Reserve::new(3);
        assert_eq!([0; 4].map(|_| reserve.spend()), [true, true, true, false]);
        reserve.refill();
        assert_eq!(reserve.held.len(), 3);
        assert!(!Reserve::default().spend());
    }
}
