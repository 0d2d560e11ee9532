//! Lines that another thread reads, with waits for the one that is looked for.

use super::WAIT;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};

/// What a program has written so far.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    text: Mutex<Text>,
    changed: Condvar,
}

#[derive(Default)]
struct Text {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Collects what comes from `source` until it ends.
    pub(crate) fn of(source: impl Read + Send + 'static) -> Lines {
        let lines = Lines::default();
        let shared = lines.0.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                shared.text.lock().unwrap().lines.push(String::from_utf8_lossy(&line).into_owned());
                shared.changed.notify_all();
            }
            shared.text.lock().unwrap().ended = true;
            shared.changed.notify_all();
        });
        lines
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.text.lock().unwrap().lines.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.text.lock().unwrap().lines.len()
    }

    /// The first line from number `from` on for which `wanted` holds; `None` if it has not come when the wait or the
    /// text ends.
    pub(crate) fn find(&self, from: usize, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let hit = |text: &Text| text.lines.iter().skip(from).find(|line| wanted(line)).cloned();
        let text = self.0.text.lock().unwrap();
        let (text, _) =
            self.0.changed.wait_timeout_while(text, WAIT, |text| !text.ended && hit(text).is_none()).unwrap();
        hit(&text)
    }

    /// All lines, once no more can come.
    #[track_caller]
    pub(crate) fn to_end(&self) -> Vec<String> {
        let text = self.0.text.lock().unwrap();
        let (text, _) = self.0.changed.wait_timeout_while(text, WAIT, |text| !text.ended).unwrap();
        let (lines, ended) = (text.lines.clone(), text.ended);
        // Not while the lock is held: who prints the log of a failed test needs it too.
        drop(text);
        assert!(ended, "the text does not end");
        lines
    }
}
