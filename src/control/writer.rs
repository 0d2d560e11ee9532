//! Writes batches of log lines to where they belong, one write each.
//!
//! A reader that is slow or stuck holds up this task alone: the queue before it fills, and the cores drop and count
//! what finds no room.

use crate::log::Batch;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_uring::buf::BoundedBuf;

/// How bytes get to a file, pipe, socket or terminal without holding up the control plane.
pub(super) enum Output {
    /// Through the ring: the kernel waits for us.
    Ring(tokio_uring::fs::File),
    /// On a thread that may block, where there is no ring.
    Thread(Arc<File>),
}

/// Writes until the queue has ended and is empty. Whatever cannot be written is lost: there is nowhere to say so.
pub(super) async fn write(mut batches: mpsc::Receiver<Batch>, output: Output) {
    while let Some(mut batch) = batches.recv().await {
        let text = output.write(batch.take()).await;
        batch.put_back(text);
    }
}

impl Output {
    async fn write(&self, text: Vec<u8>) -> Vec<u8> {
        match self {
            Output::Ring(file) => write_by_ring(file, text).await,
            Output::Thread(file) => {
                let file = Arc::clone(file);
                let written = spawn_blocking(move || {
                    _ = write_by_thread(&file, &text);
                    text
                });
                written.await.unwrap_or_default()
            }
        }
    }
}

async fn write_by_ring(file: &tokio_uring::fs::File, mut text: Vec<u8>) -> Vec<u8> {
    let mut from = 0;
    while from < text.len() {
        let (result, slice) = file.write_at(text.slice(from..), AT_CURRENT_POSITION).submit().await;
        text = slice.into_inner();
        match result {
            Ok(0) => break,
            Ok(written) => from += written,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(RETRY).await,
            Err(_) => break,
        }
    }
    text
}

fn write_by_thread(mut file: &File, mut text: &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        match file.write(text) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => text = &text[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The offset -1 of io_uring: pipes and terminals have no other, and a file shared with others needs it.
const AT_CURRENT_POSITION: u64 = u64::MAX;

/// Who started us may have made our stderr non-blocking (it is theirs too); then a full pipe is asked again.
const RETRY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log;
    use std::io::Read;
    use tokio::task::LocalSet;

    /// More than a pipe holds, so that the writer has to wait for the reader.
    const LINES: usize = 4000;

    fn expected() -> String {
        (0..LINES).map(|i| format!("a line of some length, so that the pipe fills up, number {i}\n")).collect()
    }

    /// Writes [`LINES`] through the queue while another thread reads the pipe, and returns what arrived there.
    async fn written(output: Output, mut pipe: io::PipeReader) -> String {
        let (queue, batches) = log::queue();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).map(|_| text)
        });
        let lines = async {
            for line in expected().lines() {
                // The ring is submitted to when its thread goes to sleep: a yield alone would wait for ever.
                while !queue.note(line) {
                    sleep(Duration::from_micros(100)).await;
                }
            }
            drop(queue);
        };
        tokio::join!(write(batches, output), lines);
        reader.join().unwrap().unwrap()
    }

    #[test]
    fn every_line_arrives_in_order_by_thread() {
        let (reader, writer) = io::pipe().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(writer));
        let text = LocalSet::new().block_on(&runtime, written(Output::Thread(Arc::new(file)), reader));
        assert!(text == expected());
    }

    #[test]
    fn every_line_arrives_in_order_by_ring() {
        let (reader, writer) = io::pipe().unwrap();
        // A kernel without io_uring is tested by the other one.
        let Ok(runtime) = tokio_uring::Runtime::new(&tokio_uring::builder()) else { return };
        let file = tokio_uring::fs::File::from_std(File::from(std::os::fd::OwnedFd::from(writer)));
        let text = runtime.block_on(written(Output::Ring(file), reader));
        assert!(text == expected());
    }
}
