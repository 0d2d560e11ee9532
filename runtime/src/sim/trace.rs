//! What happened, as a number: two runs that differ anywhere have different ones. On demand as lines for reading, too.

use crate::time::Instant;

/// Everything that has happened in a world.
pub(super) struct Trace {
    hash: u64,
    events: u64,
    lines: Option<Vec<String>>,
    prints: bool,
}

/// Names the environment variable with which worlds print what happens, a line for each event: the time in nanoseconds,
/// what it is, and up to three numbers.
pub const TRACE_VARIABLE: &str = "SIM_TRACE";

impl Trace {
    pub(super) fn new() -> Trace {
        let prints = std::env::var_os(TRACE_VARIABLE).is_some();
        Trace { hash: 0xcbf2_9ce4_8422_2325, events: 0, lines: None, prints }
    }

    pub(super) fn keep(&mut self) {
        self.lines.get_or_insert_default();
    }

    pub(super) fn note(&mut self, now: Instant, what: &str, numbers: [i64; 3]) {
        self.events += 1;
        self.fold(now.as_nanos());
        what.bytes().for_each(|byte| self.fold(byte.into()));
        numbers.into_iter().for_each(|number| self.fold(number as u64));
        if self.prints || self.lines.is_some() {
            let [first, second, third] = numbers;
            let line = format!("{} {what} {first} {second} {third}", now.as_nanos());
            if self.prints {
                eprintln!("{line}");
            }
            self.lines.iter_mut().for_each(|lines| lines.push(line.clone()));
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn events(&self) -> u64 {
        self.events
    }

    pub(super) fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// FNV-1a, a word at a time.
    fn fold(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
}

/// A number for bytes, for traces.
pub(super) fn digest(bytes: &[u8]) -> i64 {
    let fold = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().map(|word| u64::from_le_bytes(*word)).fold(bytes.len() as u64, fold);
    rest.iter().map(|byte| u64::from(*byte)).fold(hash, fold) as i64
}
