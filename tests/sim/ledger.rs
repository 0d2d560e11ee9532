//! What has been asked and answered so far, and what must hold of it whatever went wrong on the way.

use crate::plan::{Exchange, Framing, Mishap};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Shared by all clients and servers of a scene.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Rc<RefCell<Entries>>);

#[derive(Default)]
struct Entries {
    exchanges: BTreeMap<u32, Entry>,
    problems: Vec<String>,
    /// Nothing goes wrong in this scene: all has to succeed.
    calm: bool,
    whole: u64,
    bytes: u64,
}

struct Entry {
    exchange: Exchange,
    /// How often a server has got the whole head.
    heads: u32,
    /// The client has got the head of a final response.
    answered: bool,
    /// Lines of the log about it.
    lines: u32,
}

impl Ledger {
    pub(crate) fn new(calm: bool) -> Ledger {
        Ledger(Rc::new(RefCell::new(Entries { calm, ..Entries::default() })))
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.0.borrow().calm
    }

    /// Something that must not be.
    pub(crate) fn problem(&self, text: String) {
        self.0.borrow_mut().problems.push(text);
    }

    /// What must not be, so far.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.0.borrow().problems.clone()
    }

    /// Exchanges that were answered whole, and bytes of bodies that came where they belong.
    pub(crate) fn figures(&self) -> (u64, u64) {
        let entries = self.0.borrow();
        (entries.whole, entries.bytes)
    }

    /// A client begins to send this.
    pub(crate) fn asked(&self, exchange: &Exchange) {
        let entry = Entry { exchange: exchange.clone(), heads: 0, answered: false, lines: 0 };
        self.0.borrow_mut().exchanges.insert(exchange.id, entry);
    }

    /// A server has got the head of a request.
    pub(crate) fn arrived(&self, id: u32, method: &str) {
        let mut entries = self.0.borrow_mut();
        let problem = match entries.exchanges.get_mut(&id) {
            None => Some(format!("a server got request {id}, which nobody has sent")),
            Some(entry) => {
                entry.heads += 1;
                let is_repeatable = matches!(method, "GET" | "HEAD" | "PUT" | "DELETE");
                let wrong = format!("a server got {method} {id} as try {}", entry.heads);
                (method != entry.exchange.method || entry.heads > 1 && !is_repeatable).then_some(wrong)
            }
        };
        entries.problems.extend(problem);
    }

    /// Bytes came where they belong.
    pub(crate) fn passed(&self, count: usize) {
        self.0.borrow_mut().bytes += count as u64;
    }

    /// A client has got a final head. `from` is whose answer it says it is.
    pub(crate) fn answered(&self, id: u32, status: u16, from: Option<&str>) {
        let mut entries = self.0.borrow_mut();
        let Some(entry) = entries.exchanges.get_mut(&id) else { unreachable!("asked before") };
        let twice = std::mem::replace(&mut entry.answered, true);
        let answer = entry.exchange.answer;
        let problem = match from {
            _ if twice => Some("was answered twice".to_owned()),
            Some(from) if from != id.to_string() => Some(format!("was given the answer to {from}")),
            Some(_) if status != answer.status => Some(format!("was answered {status} instead of {}", answer.status)),
            Some(_) if matches!(answer.mishap, Mishap::NoAnswer | Mishap::Garbage | Mishap::Silent) => {
                Some("was answered by a server that does not answer".to_owned())
            }
            Some(_) => None,
            None if OUR_ERRORS.contains(&status) && !entries.calm => None,
            None => Some(format!("was answered {status} by nobody")),
        };
        entries.problems.extend(problem.map(|problem| format!("request {id} {problem}")));
    }

    /// A client has got a whole response of a server, with a body of `len` bytes.
    pub(crate) fn whole(&self, id: u32, len: u64) {
        let mut entries = self.0.borrow_mut();
        let Some(entry) = entries.exchanges.get(&id) else { unreachable!("asked before") };
        let answer = entry.exchange.answer;
        let expected = if entry.exchange.is_bodiless(answer.status) { 0 } else { u64::from(answer.len) };
        // Where only the end of the server's connection ends the body, an end that came too soon cannot be told.
        let may_be_cut = answer.framing == Framing::Close && !entries.calm;
        let wrong = len > expected || len < expected && !may_be_cut;
        entries.whole += 1;
        if wrong {
            entries.problems.push(format!("request {id} got {len} bytes as a whole body of {expected}"));
        }
    }

    /// A client's exchange did not come to its end.
    pub(crate) fn broken(&self, id: u32, how: &str) {
        if self.is_calm() {
            self.problem(format!("request {id} was {how} although nothing went wrong"));
        }
    }

    /// A line of the log names this request.
    pub(crate) fn logged(&self, id: u32) {
        let mut entries = self.0.borrow_mut();
        let problem = match entries.exchanges.get_mut(&id) {
            None => Some(format!("the log has a line of request {id}, which nobody has sent")),
            Some(entry) => {
                entry.lines += 1;
                (entry.lines > 1).then(|| format!("the log has {} lines of request {id}", entry.lines))
            }
        };
        entries.problems.extend(problem);
    }

    /// Everybody has gone: what has to have happened by now.
    pub(crate) fn close(&self) {
        let mut entries = self.0.borrow_mut();
        let missing = entries.exchanges.values().filter(|entry| entry.answered && entry.lines == 0);
        let missing: Vec<String> =
            missing.map(|entry| format!("the log has no line of request {}", entry.exchange.id)).collect();
        entries.problems.extend(missing);
    }
}

/// What the proxy answers of its own accord.
const OUR_ERRORS: [u16; 11] = [400, 403, 408, 413, 421, 429, 431, 500, 502, 503, 504];
