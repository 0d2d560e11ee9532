//! Several futures in one task: wait for one of two, for both, or for the end of another task.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Which of two futures was first.
#[derive(Debug)]
pub enum Either<A, B> {
    /// The first argument.
    Left(A),
    /// The second argument.
    Right(B),
}

/// Runs two futures until one is ready; the first is asked first. The other is dropped.
pub async fn race<A: Future, B: Future>(a: A, b: B) -> Either<A::Output, B::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|cx| match a.as_mut().poll(cx) {
        Poll::Ready(a) => Poll::Ready(Either::Left(a)),
        Poll::Pending => b.as_mut().poll(cx).map(Either::Right),
    })
    .await
}

/// Runs two futures until both are ready.
pub async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut left, mut right) = (None, None);
    poll_fn(|cx| {
        if left.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(cx)
        {
            left = Some(output);
        }
        if right.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(cx)
        {
            right = Some(output);
        }
        match (left.take(), right.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (left, right) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// The end of a task: its output, or `None` when it panicked or its core was shut down.
pub struct JoinHandle<T>(Rc<RefCell<Joined<T>>>);

struct Joined<T> {
    output: Option<T>,
    ended: bool,
    waiting: Option<Waker>,
}

/// Splits a future into a task and the handle that its output goes to.
pub(crate) fn joinable<F: Future + 'static>(future: F) -> (impl Future<Output = ()> + 'static, JoinHandle<F::Output>) {
    let shared = Rc::new(RefCell::new(Joined { output: None, ended: false, waiting: None }));
    let end = End(shared.clone());
    let task = async move {
        let end = end;
        let output = future.await;
        end.0.borrow_mut().output = Some(output);
    };
    (task, JoinHandle(shared))
}

/// Tells the handle when the task is gone, however it ended.
struct End<T>(Rc<RefCell<Joined<T>>>);

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        let waiting = {
            let mut joined = self.0.borrow_mut();
            joined.ended = true;
            joined.waiting.take()
        };
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut joined = self.0.borrow_mut();
        if joined.ended {
            return Poll::Ready(joined.output.take());
        }
        joined.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> JoinHandle<T> {
    /// `Some(output)` once the task has ended, as awaiting it would give.
    pub fn take_if_ended(&mut self) -> Option<Option<T>> {
        let mut joined = self.0.borrow_mut();
        if joined.ended { Some(joined.output.take()) } else { None }
    }
}
