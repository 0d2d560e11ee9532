//! Any script of operations on sockets of simulated cores, and what must hold whatever it is.
//!
//! Most things are polled outside of tasks, when the script says so and not when they are woken: so each can be given up,
//! changed or overtaken in every state, and it shows when nobody is woken for what is there. What tasks do is `tests/sim`.

mod bytes;
mod datagrams;
mod end;
mod held;
mod ledger;
mod stage;
mod watch;

use bytes::Script;
use stage::Stage;

/// Operations of a script; what comes after them is not read.
const OPERATIONS_MAX: usize = 2000;

/// Does what `data` says. One that begins with an odd byte is done twice, and has to come to the same.
pub(crate) fn run(data: &[u8]) {
    let trace = perform(data);
    if data.first().is_some_and(|first| first & 1 == 1) {
        assert_eq!(trace, perform(data), "not the same twice");
    }
}

/// What it comes to, as a number.
fn perform(data: &[u8]) -> u64 {
    let mut script = Script::new(data);
    let mut stage = Stage::new(&mut script);
    for _ in 0..OPERATIONS_MAX {
        if script.is_over() {
            break;
        }
        stage.perform(&mut script);
    }
    stage.end()
}
