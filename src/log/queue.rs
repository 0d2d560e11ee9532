//! How lines travel: a core fills a [`LogSink`], which hands whole [`Batch`]es to one bounded queue that the control
//! plane reads.
//!
//! Nothing here waits. When the queue is full (a terminal that was stopped, a pipe that nobody reads) the batch is
//! dropped and its lines are counted. Buffers come back to the sink that filled them when the writer drops the batch.

use super::{Record, TimeText, format};
use crate::model::LogFormat;
use std::mem;
use std::sync::mpsc as std_mpsc;
use tokio::sync::mpsc;

/// A batch is handed over when it is this long: what a pipe holds. Handing one over and writing it wakes another thread,
/// which at a quarter of this cost each request more than the making of its line.
pub const BATCH_BYTES: usize = 64 << 10;

/// A line waits this long for others before it is handed over alone.
const WAIT_MS: u64 = 200;

/// Batches on their way, all cores together: bounds what a stuck writer costs to about a megabyte.
const QUEUE_BATCHES: usize = 16;

/// Buffers that wait to be filled again, for each core.
const SPARE_BUFFERS: usize = 2;

/// A buffer that one line made longer than this is freed rather than kept.
const KEPT_BYTES: usize = 2 * BATCH_BYTES;

/// Makes the queue between all sinks and the writer. It ends for the reader when the last [`LogQueue`] and
/// [`LogSink`] are gone.
pub fn queue() -> (LogQueue, mpsc::Receiver<Batch>) {
    let (batches, reader) = mpsc::channel(QUEUE_BATCHES);
    (LogQueue { batches }, reader)
}

/// The entrance of the queue.
#[derive(Clone, Debug)]
pub struct LogQueue {
    batches: mpsc::Sender<Batch>,
}

impl LogQueue {
    /// A message of the program itself, as one line. Says whether there was room for it.
    pub fn note(&self, message: &str) -> bool {
        let mut text = Vec::with_capacity(message.len() + 1);
        text.extend_from_slice(message.as_bytes());
        text.push(b'\n');
        self.batches.try_send(Batch { text, home: None }).is_ok()
    }

    /// A sink for one core.
    pub fn sink(&self, format: Option<LogFormat>) -> LogSink {
        let (home, spares) = std_mpsc::sync_channel(SPARE_BUFFERS);
        LogSink {
            format,
            clock: TimeText::new(),
            text: Vec::new(),
            lines: 0,
            due_ms: 0,
            dropped: 0,
            queue: self.clone(),
            home,
            spares,
        }
    }
}

/// Whole lines on their way to the writer.
#[derive(Debug)]
pub struct Batch {
    text: Vec<u8>,
    /// Where the buffer goes when the batch is dropped.
    home: Option<std_mpsc::SyncSender<Vec<u8>>>,
}

impl Batch {
    /// Takes the lines out to be written. Give the buffer back with [`Batch::put_back`], else it is freed.
    pub fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.text)
    }

    /// Returns the buffer that [`Batch::take`] took.
    pub fn put_back(&mut self, text: Vec<u8>) {
        self.text = text;
    }

    /// The lines.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(home) = self.home.take()
            && (1..=KEPT_BYTES).contains(&self.text.capacity())
        {
            self.text.clear();
            // A core that is gone, or has spares enough, needs no buffer.
            _ = home.try_send(self.take());
        }
    }
}

/// Where one core puts its lines.
#[derive(Debug)]
pub struct LogSink {
    format: Option<LogFormat>,
    clock: TimeText,
    text: Vec<u8>,
    lines: u64,
    due_ms: u64,
    dropped: u64,
    queue: LogQueue,
    home: std_mpsc::SyncSender<Vec<u8>>,
    spares: std_mpsc::Receiver<Vec<u8>>,
}

impl LogSink {
    /// Adds a line, and hands the batch over when it is long enough. `now_ms` is the monotonic clock.
    pub fn push(&mut self, record: &Record<'_>, now_ms: u64) {
        let Some(as_format) = self.format else { return };
        if self.lines == 0 {
            self.due_ms = now_ms + WAIT_MS;
        }
        if self.text.capacity() == 0 {
            self.text = self.spares.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH_BYTES + (BATCH_BYTES >> 3)));
        }
        format(record, as_format, &mut self.clock, &mut self.text);
        self.lines += 1;
        if self.text.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    /// When [`LogSink::flush_due`] has something to do; `None` while no line waits.
    pub fn due_ms(&self) -> Option<u64> {
        (self.lines > 0).then_some(self.due_ms)
    }

    /// Hands over what has waited long enough.
    pub fn flush_due(&mut self, now_ms: u64) {
        if self.due_ms().is_some_and(|due| due <= now_ms) {
            self.flush();
        }
    }

    /// Hands over whatever there is.
    pub fn flush(&mut self) {
        let lines = mem::take(&mut self.lines);
        if lines == 0 {
            return;
        }
        let batch = Batch { text: mem::take(&mut self.text), home: Some(self.home.clone()) };
        // A refused batch is dropped, and its buffer with that comes back.
        if self.queue.batches.try_send(batch).is_err() {
            self.dropped += lines;
        }
    }

    /// Lines that were dropped since the start because nobody took them.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether lines are written at all.
    pub fn is_wanted(&self) -> bool {
        self.format.is_some()
    }

    /// Changes how the next lines look; `None` writes no more.
    pub fn set_format(&mut self, format: Option<LogFormat>) {
        self.format = format;
    }

    /// The wall clock as text, which this core has cached anyway.
    pub fn clock(&mut self) -> &mut TimeText {
        &mut self.clock
    }
}

impl Drop for LogSink {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn record(target: &[u8]) -> Record<'_> {
        Record {
            unix_ms: 0,
            client: Ipv4Addr::LOCALHOST.into(),
            host: b"",
            method: b"GET",
            target,
            version: "HTTP/1.1",
            status: 200,
            bytes_in: 0,
            bytes_out: 0,
            user_agent: b"",
            referer: b"",
            total_us: 0,
            connect_us: None,
            first_byte_us: None,
            upstream: "",
            retries: 0,
            site: "",
            path: "",
            error: None,
            tunnel: false,
            tls: None,
        }
    }

    fn lines(batch: &Batch) -> usize {
        batch.text().iter().filter(|&&byte| byte == b'\n').count()
    }

    #[test]
    fn a_line_waits_for_others_but_not_for_long() {
        let (queue, mut reader) = queue();
        let mut sink = queue.sink(Some(LogFormat::Combined));
        assert_eq!(sink.due_ms(), None);
        sink.push(&record(b"/1"), 1000);
        sink.push(&record(b"/2"), 1100);
        assert_eq!(sink.due_ms(), Some(1000 + WAIT_MS));
        sink.flush_due(1000 + WAIT_MS - 1);
        assert!(reader.try_recv().is_err());
        sink.flush_due(1000 + WAIT_MS);
        assert_eq!(lines(&reader.try_recv().unwrap()), 2);
        assert_eq!(sink.due_ms(), None);
    }

    #[test]
    fn a_full_batch_goes_at_once_and_its_buffer_comes_back() {
        let (queue, mut reader) = queue();
        let mut sink = queue.sink(Some(LogFormat::Combined));
        let fill = |sink: &mut LogSink| {
            while {
                sink.push(&record(b"/"), 0);
                sink.due_ms().is_some()
            } {}
        };
        fill(&mut sink);
        let batch = reader.try_recv().unwrap();
        assert!((BATCH_BYTES..BATCH_BYTES + 200).contains(&batch.text().len()));
        let buffer = batch.text().as_ptr();
        drop(batch);
        fill(&mut sink);
        assert_eq!(reader.try_recv().unwrap().text().as_ptr(), buffer);
    }

    #[test]
    fn lines_that_nobody_takes_are_dropped_and_counted() {
        let (queue, mut reader) = queue();
        let mut sink = queue.sink(Some(LogFormat::Json));
        for _ in 0..QUEUE_BATCHES + 3 {
            sink.push(&record(b"/"), 0);
            sink.flush();
        }
        assert_eq!(sink.dropped(), 3);
        assert!(!queue.note("no room either"));
        let taken = std::iter::from_fn(|| reader.try_recv().ok()).count();
        assert_eq!(taken, QUEUE_BATCHES);
        assert!(queue.note("room"));
    }

    #[test]
    fn a_sink_that_ends_hands_over_what_it_has_and_the_queue_ends_with_the_last() {
        let (queue, mut reader) = queue();
        let mut sink = queue.sink(Some(LogFormat::Combined));
        drop(queue);
        sink.push(&record(b"/last"), 0);
        drop(sink);
        assert_eq!(lines(&reader.try_recv().unwrap()), 1);
        assert_eq!(reader.try_recv().unwrap_err(), mpsc::error::TryRecvError::Disconnected);
    }

    #[test]
    fn no_format_writes_nothing() {
        let (queue, mut reader) = queue();
        let mut sink = queue.sink(None);
        sink.push(&record(b"/"), 0);
        sink.flush();
        assert!(reader.try_recv().is_err());
        sink.set_format(Some(LogFormat::Combined));
        sink.push(&record(b"/"), 0);
        sink.flush();
        assert!(reader.try_recv().is_ok());
    }
}
