//! The tasks of a core.

use super::waker::TASKS_MAX;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Futures by index. A task that is being polled is out of the table, so that polling may spawn.
pub(crate) struct TaskTable {
    places: Vec<Option<Task>>,
    free: Vec<u32>,
    live: usize,
    max: usize,
}

/// What polling a task led to.
pub(crate) enum Outcome {
    /// It goes on.
    Pending(Task),
    /// It is done.
    Done,
    /// It panicked and was dropped: a bug of ours, contained at the root of its task.
    Panicked(String),
}

impl Default for TaskTable {
    fn default() -> TaskTable {
        TaskTable { places: Vec::new(), free: Vec::new(), live: 0, max: TASKS_MAX }
    }
}

impl TaskTable {
    /// Puts a task in. Gives it back when there are too many: dropping it runs code that may well use this table.
    pub(crate) fn insert(&mut self, task: Task) -> Result<u32, Task> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.places.len() < self.max => {
                self.places.push(None);
                (self.places.len() - 1) as u32
            }
            None => return Err(task),
        };
        self.places[index as usize] = Some(task);
        self.live += 1;
        Ok(index)
    }

    /// Takes a task out for polling.
    pub(crate) fn take(&mut self, index: u32) -> Option<Task> {
        self.places[index as usize].take()
    }

    /// Puts it back.
    pub(crate) fn put_back(&mut self, index: u32, task: Task) {
        self.places[index as usize] = Some(task);
    }

    /// Its place is free again.
    pub(crate) fn remove(&mut self, index: u32) {
        self.free.push(index);
        self.live -= 1;
    }

    /// Takes all tasks out, to drop them.
    pub(crate) fn take_all(&mut self) -> Vec<(u32, Task)> {
        let tasks = self.places.iter_mut().enumerate();
        tasks.filter_map(|(index, place)| Some((index as u32, place.take()?))).collect()
    }

    /// Tasks that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.live
    }
}

/// Polls a task once and catches what it throws.
pub(crate) fn poll(mut task: Task, cx: &mut Context<'_>) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Outcome::Pending(task),
        Ok(Poll::Ready(())) => {
            drop_caught(task);
            Outcome::Done
        }
        Err(panic) => {
            drop_caught(task);
            Outcome::Panicked(message(&*panic))
        }
    }
}

/// Drops a task; a destructor that panics must not take the core down either.
pub(crate) fn drop_caught(task: Task) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown panic".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_gives_the_task_back_and_takes_one_when_another_has_ended() {
        let task = || -> Task { Box::pin(std::future::pending()) };
        let mut table = TaskTable { max: 2, ..TaskTable::default() };
        let places: Vec<_> = (0..2).map(|_| table.insert(task()).ok()).collect();
        assert_eq!(places, [Some(0), Some(1)]);
        assert!(table.insert(task()).is_err());
        assert_eq!(table.len(), 2);
        drop(table.take(0));
        table.remove(0);
        assert_eq!(table.insert(task()).ok(), Some(0));
        assert_eq!(table.take_all().len(), 2);
    }
}
