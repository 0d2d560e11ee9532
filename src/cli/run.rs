//! `ringferry run`: serve the sites of a configuration file.

use super::boot::serve;
use super::{Exit, RunArgs, source};
use crate::app::Boot;

pub(super) fn run(args: RunArgs) -> Exit {
    let config = match source::config(&args.config.file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let admin = Some(args.admin.path_or(config.admin.as_deref()));
    let (file, kernel) = (Some(args.config.file), args.kernel.choice);
    serve(Boot { config, file, cores: args.cores, kernel, admin, quiet: args.quiet })
}
