//! `ringferry run`: serve the sites of a configuration file.

use super::pending::{self, Boot};
use super::{Exit, RunArgs, source};

pub(super) fn run(args: RunArgs) -> Exit {
    let config = match source::config(&args.config.file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let admin = Some(args.admin.path_or(config.admin.as_deref()));
    pending::run(Boot { config, file: Some(args.config.file), cores: args.cores, admin, quiet: args.quiet })
}
