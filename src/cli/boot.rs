//! From a verb to the running proxy, and from its end to the exit code.

use super::{Exit, complain};
use crate::app::{self, Boot, Failure};

/// Serves until a signal ends it.
pub(super) fn serve(boot: Boot) -> Exit {
    match app::run(boot) {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            complain(&failure);
            match failure {
                Failure::Resource(_) => Exit::BindOrPermission,
                Failure::Configuration(_) => Exit::Configuration,
            }
        }
    }
}
