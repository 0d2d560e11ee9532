//! Pipes, which move bytes from one connection to another unseen.

use super::super::bytes::Script;
use super::super::end::End;
use super::{OTHERS_MAX, Stage, may_be_cut};
use ringferry_runtime::net::Pipe;
use std::collections::VecDeque;
use std::io;

/// A pipe and what is in it.
pub(super) struct Piping {
    pub(super) core: usize,
    pub(super) pipe: Pipe,
    pub(super) bytes: VecDeque<u8>,
}

impl Stage {
    pub(super) fn pipe(&mut self, script: &mut Script<'_>) {
        let core = script.below(3);
        match script.byte() % 4 {
            0 if !self.pipes.is_empty() => drop(self.pipes.swap_remove(script.below(self.pipes.len()))),
            _ if self.pipes.len() < OTHERS_MAX => {
                let pipe = Pipe::new(&self.handles[core]);
                self.pipes.extend(pipe.map(|pipe| Piping { core, pipe, bytes: VecDeque::new() }));
            }
            _ => {}
        }
    }

    pub(super) fn fill(&mut self, script: &mut Script<'_>) {
        let len = script.size();
        let is_cut = may_be_cut(&self.world);
        let Some((piping, end)) = self.pipe_and_end(script) else { return };
        let Some(stream) = end.stream.as_ref().filter(|_| end.is_quiet()) else { return };
        match piping.pipe.fill(stream, len) {
            Ok(0) if len > 0 => end.into.receive_end(&end.out, is_cut),
            Ok(count) => piping.bytes.extend(end.into.receive_unseen(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => end.into.doubt(),
        }
        assert_eq!(piping.pipe.held(), piping.bytes.len());
    }

    pub(super) fn empty(&mut self, script: &mut Script<'_>) {
        let Some((piping, end)) = self.pipe_and_end(script) else { return };
        let Some(stream) = end.stream.as_ref().filter(|_| end.may_be_sent_to()) else { return };
        match piping.pipe.empty(stream) {
            Ok(count) => {
                let bytes: Vec<u8> = piping.bytes.drain(..count).collect();
                end.out.give(&bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => end.into.doubt(),
        }
        assert_eq!(piping.pipe.held(), piping.bytes.len());
    }

    fn pipe_and_end(&mut self, script: &mut Script<'_>) -> Option<(&mut Piping, &mut End)> {
        let piping = (!self.pipes.is_empty()).then(|| script.below(self.pipes.len()))?;
        let end = (!self.ends.is_empty()).then(|| script.below(self.ends.len()))?;
        let (piping, end) = (&mut self.pipes[piping], &mut self.ends[end]);
        (piping.core == end.core).then_some((piping, end))
    }
}
