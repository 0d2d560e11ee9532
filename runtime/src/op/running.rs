//! An operation that has been submitted. Dropping it cancels it; its memory stays with the kernel until it has ended.

use crate::driver::{Brought, Done, Kind};
use crate::kernel::{Op, Token};
use crate::net::Descriptor;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// See the module.
pub(super) struct Running {
    /// Open until the end has been read.
    descriptor: Rc<Descriptor>,
    /// `None` once its end has been read.
    token: Option<Token>,
    cancelled: bool,
}

impl Running {
    pub(super) fn submit(kind: Kind, descriptor: &Rc<Descriptor>, op: Op) -> Running {
        let token = descriptor.handle().submit(kind, descriptor, op);
        Running { descriptor: descriptor.clone(), token: Some(token), cancelled: false }
    }

    /// What it is about.
    pub(super) fn descriptor(&self) -> &Rc<Descriptor> {
        &self.descriptor
    }

    /// The result of an operation that completes once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        let token = self.token.expect("not polled after its end");
        let done = self.descriptor.handle().slots().poll(token, cx);
        if done.is_ready() {
            self.token = None;
        }
        done
    }

    /// The next result of an operation that completes many times; `None` once it has ended.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Brought>> {
        let token = self.token.expect("not polled after its end");
        let next = self.descriptor.handle().slots().poll_next(token, cx);
        if matches!(next, Poll::Ready(None)) {
            self.token = None;
        }
        next
    }

    /// Whether a result waits to be read.
    pub(super) fn is_ready(&self) -> bool {
        self.token.is_none_or(|token| self.descriptor.handle().slots().is_ready(token))
    }

    /// Whether it has ended, and all that it brought has been read.
    pub(super) fn is_over(&self) -> bool {
        self.token.is_none_or(|token| self.descriptor.handle().slots().is_over(token))
    }

    /// Ready when it has failed other than by our doing or for want of buffers; nothing is taken out.
    pub(super) fn poll_failed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.token.map_or(Poll::Pending, |token| self.descriptor.handle().slots().poll_failed(token, cx))
    }

    /// Asks it to end early; what it brings until then can still be read.
    pub(super) fn cancel(&mut self) {
        if let (Some(token), false) = (self.token, self.cancelled) {
            self.cancelled = true;
            self.descriptor.handle().cancel(token);
        }
    }
}

impl Future for Running {
    type Output = Done;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Done> {
        Running::poll(&mut self, cx)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            self.descriptor.handle().abandon(token);
        }
    }
}
